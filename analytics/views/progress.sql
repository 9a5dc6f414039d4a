-- Table: progress
-- Grain: one row per attempt of a job and stretch in which it made progress with the same number of workers in the same tier.
-- When work was done: from the started or resumed report until the gang was told to leave, lost a node, or was over. A resize
-- pauses progress under rules 2 and later.
--
-- job: Job, as tenant/name@generation.
-- attempt: Its attempt.
-- tenant: Tenant of the job.
-- team: Team of the job, as tenant/team.
-- tier: premium, standard or basic, at that time.
-- workers: Workers that made progress.
-- device_milli: Devices that made progress, thousandths.
-- from_at: Since when, recorded time, UTC.
-- to_at: Until when; empty while it lasts.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
CREATE TABLE progress AS
WITH pauses AS (
    SELECT r.job, r.attempt, r.position, r.recorded_ms
    FROM resizes AS r
    ASOF JOIN (SELECT 0 AS rules, -1 AS position UNION ALL SELECT rules, position FROM fact.rules_activated) AS v
        ON v.position < r.position
    WHERE v.rules >= 2
),
steps AS (
    SELECT job, attempt, started_position AS position, started_ms AS recorded_ms, workers
    FROM attempts
    WHERE started_position IS NOT NULL
    UNION ALL
    SELECT job, attempt, position, recorded_ms, 0 FROM pauses
    UNION ALL
    SELECT job, attempt, reported_position, reported_ms, workers
    FROM resizes
    WHERE reported_position IS NOT NULL
),
stretches AS (
    SELECT
        job,
        attempt,
        workers,
        position AS from_position,
        lead(position) OVER along AS next_position,
        recorded_ms AS from_ms,
        lead(recorded_ms) OVER along AS next_ms
    FROM steps
    WINDOW along AS (PARTITION BY job, attempt ORDER BY position)
),
jobs_submitted AS (
    SELECT
        job_id(job) AS job,
        job.tenant AS tenant,
        job.tenant || '/' || job.team AS team,
        job.worker.devices * job.worker.device_milli AS worker_milli
    FROM fact.job_submitted
)
SELECT
    s.job,
    s.attempt,
    j.tenant,
    j.team,
    t.tier,
    s.workers,
    s.workers * j.worker_milli AS device_milli,
    moment(greatest(s.from_ms, t.from_ms)) AS from_at,
    moment(least(s.next_ms, a.stopped_ms, t.to_ms)) AS to_at,
    greatest(s.from_position, t.from_position) AS from_position,
    least(s.next_position, a.stopped_position, t.to_position) AS to_position,
    greatest(s.from_ms, t.from_ms) AS from_ms,
    least(s.next_ms, a.stopped_ms, t.to_ms) AS to_ms
FROM stretches AS s
JOIN attempts AS a ON a.job = s.job AND a.attempt = s.attempt
JOIN jobs_submitted AS j ON j.job = s.job
JOIN job_tiers AS t
    ON t.job = s.job
    AND (s.next_position IS NULL OR t.from_position < s.next_position)
    AND (t.to_position IS NULL OR t.to_position > s.from_position)
WHERE s.workers > 0
    AND a.started_position IS NOT NULL
    AND s.from_position >= a.started_position
    AND (a.stopped_position IS NULL OR greatest(s.from_position, t.from_position) < a.stopped_position);
