-- View: waits
-- Grain: one row per job and stretch in which it was waiting to make progress.
-- The wait before the first start is one thing, the pause after a suspension, a move or a failure another: they are never mixed.
--
-- job: Job, as tenant/name@generation.
-- tenant: Tenant of the job.
-- team: Team of the job, as tenant/team.
-- tier: Tier that the job had when the wait began.
-- kind: first_start, or pause.
-- attempt: Attempt whose progress ended the wait; empty where none did.
-- from_at: When it was submitted, or its progress ended; recorded time, UTC.
-- to_at: When it made progress, or was over; empty while it waits.
-- outcome: started, resumed, ended (it was over first); empty while it waits.
-- wait_ms: How long; while it waits, up to the end of the history.
-- reason: Reason of the last verdict in that time; empty where there was none.
-- from_ms: `from_at` as milliseconds since 1970.
-- to_ms: `to_at` as milliseconds since 1970.
CREATE VIEW waits AS
WITH endings AS (
    SELECT job, min(from_position) AS position, min(from_ms) AS ended_ms
    FROM phases
    WHERE phase IN ('finished', 'failed', 'cancelled')
    GROUP BY job
),
begun AS (
    SELECT job_id(job) AS job, 'first_start' AS kind, position, recorded_ms AS from_ms
    FROM fact.job_submitted
    UNION ALL
    SELECT job, 'pause', stopped_position, stopped_ms
    FROM attempts
    WHERE stopped_position IS NOT NULL
),
spells AS (
    SELECT
        b.job,
        b.kind,
        b.position,
        b.from_ms,
        a.attempt,
        a.started_position,
        a.started_ms,
        e.position AS end_position,
        e.ended_ms
    FROM begun AS b
    ASOF LEFT JOIN (SELECT * FROM attempts WHERE started_position IS NOT NULL) AS a
        ON a.job = b.job AND a.started_position > b.position
    LEFT JOIN endings AS e ON e.job = b.job
    -- Progress that ended because the job was over began no wait.
    WHERE e.position IS NULL OR e.position > b.position
),
reasons_given AS (
    SELECT s.job, s.position, arg_max(v.reason, v.position) AS reason
    FROM spells AS s
    JOIN fact.verdict_reached AS v
        ON v.job = s.job
        AND v.position > s.position
        AND v.position < coalesce(s.started_position, s.end_position, 9223372036854775807)
        AND v.reason <> 'placed'
    GROUP BY s.job, s.position
)
SELECT
    s.job,
    t.tenant,
    t.team,
    i.tier,
    s.kind,
    s.attempt,
    moment(s.from_ms) AS from_at,
    moment(coalesce(s.started_ms, s.ended_ms)) AS to_at,
    CASE
        WHEN s.started_position IS NULL THEN if(s.end_position IS NULL, NULL, 'ended')
        WHEN s.kind = 'first_start' THEN 'started'
        ELSE 'resumed'
    END AS outcome,
    coalesce(s.started_ms, s.ended_ms, h.last_ms) - s.from_ms AS wait_ms,
    r.reason,
    s.from_ms,
    coalesce(s.started_ms, s.ended_ms) AS to_ms
FROM spells AS s
CROSS JOIN history AS h
JOIN (
    SELECT job_id(job) AS job, job.tenant AS tenant, job.tenant || '/' || job.team AS team
    FROM fact.job_submitted
) AS t ON t.job = s.job
JOIN job_tiers AS i
    ON i.job = s.job
    AND i.from_position <= s.position
    AND (i.to_position IS NULL OR i.to_position > s.position)
LEFT JOIN reasons_given AS r ON r.job = s.job AND r.position = s.position;
