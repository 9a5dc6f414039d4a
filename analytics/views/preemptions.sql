-- View: preemptions
-- Grain: one row per order that took devices from a job: suspend, migrate or shrink.
-- Who gave way to whom, what it freed, and how long the one that gave way paused.
--
-- position: The order.
-- kind: suspend, migrate or shrink.
-- job: Job that gave way.
-- attempt: Its attempt.
-- team: Its team, as tenant/team.
-- tier: Its tier when it gave way.
-- gains: Job for whose sake; empty where none is named.
-- gains_team: Team of that job.
-- gains_tier: Tier of that job at the time.
-- device_milli: Devices that it frees, thousandths.
-- ordered_at: Recorded time of the order, UTC.
-- released_at: When the devices were released.
-- resumed_at: When it made progress again; empty where it has not, or was over first.
-- release_ms: From the order to the release.
-- pause_ms: From the order to the next progress; 0 for a shrink that did not pause it.
CREATE VIEW preemptions AS
WITH taken AS (
    SELECT job, attempt, 'suspend' AS kind, gains, position, recorded_ms, NULL AS workers
    FROM fact.suspend_ordered
    UNION ALL
    SELECT job, attempt, 'migrate', gains, position, recorded_ms, NULL FROM fact.migrate_ordered
    UNION ALL
    SELECT job, attempt, 'shrink', gains, position, recorded_ms, workers_before - workers
    FROM resizes
    WHERE kind = 'shrink'
),
-- What an attempt held when it was told: the slices in force then.
sizes AS (
    SELECT
        t.position,
        list_sum(list_transform(s.slices, lambda x: len(x.slots) * x.milli))::BIGINT AS device_milli,
        s.workers
    FROM taken AS t
    JOIN derived.attempt_slices AS s
        ON s.job = t.job
        AND s.attempt = t.attempt
        AND s.from_position < t.position
        AND (s.to_position IS NULL OR s.to_position > t.position)
),
spells AS (
    SELECT job, from_position, from_ms FROM progress
),
owners AS (
    SELECT job_id(job) AS job, job.tenant || '/' || job.team AS team FROM fact.job_submitted
)
SELECT
    t.position,
    t.kind,
    t.job,
    t.attempt,
    o.team,
    i.tier,
    nullif(t.gains, '') AS gains,
    og.team AS gains_team,
    ig.tier AS gains_tier,
    if(t.kind = 'shrink', s.device_milli * t.workers // s.workers, s.device_milli) AS device_milli,
    moment(t.recorded_ms) AS ordered_at,
    moment(r.to_ms) AS released_at,
    moment(p.from_ms) AS resumed_at,
    r.to_ms - t.recorded_ms AS release_ms,
    p.from_ms - t.recorded_ms AS pause_ms
FROM taken AS t
LEFT JOIN sizes AS s ON s.position = t.position
LEFT JOIN releases AS r ON r.from_position = t.position AND r.job = t.job
ASOF LEFT JOIN spells AS p ON p.job = t.job AND p.from_position > t.position
LEFT JOIN owners AS o ON o.job = t.job
LEFT JOIN job_tiers AS i
    ON i.job = t.job
    AND i.from_position < t.position
    AND (i.to_position IS NULL OR i.to_position > t.position)
LEFT JOIN owners AS og ON og.job = t.gains
LEFT JOIN job_tiers AS ig
    ON ig.job = t.gains
    AND ig.from_position < t.position
    AND (ig.to_position IS NULL OR ig.to_position > t.position);
