-- View: lost_work
-- Grain: one row per failure that threw a job back to its last checkpoint.
-- Work since that checkpoint, which has to be done again.
--
-- job: Job, as tenant/name@generation.
-- attempt: Attempt that failed.
-- position: The failure, or the loss of a node.
-- recorded_at: Its recorded time, UTC.
-- device_ms: Device time that was lost, milliseconds of one whole device.
CREATE VIEW lost_work AS
WITH failures AS (
    SELECT job, attempt, position, recorded_ms FROM fact.job_failed WHERE retryable
    UNION ALL
    SELECT job, attempt, position, recorded_ms
    FROM derived.attempt_losses
    WHERE position IS NOT NULL
),
marks AS (
    SELECT job, position, recorded_ms FROM fact.job_checkpointed
    UNION ALL
    SELECT job, position, recorded_ms FROM fact.job_suspended
    UNION ALL
    SELECT job, position, recorded_ms FROM failures
),
spans AS (
    SELECT f.job, f.attempt, f.position, f.recorded_ms, coalesce(m.recorded_ms, 0) AS since_ms
    FROM failures AS f
    ASOF LEFT JOIN marks AS m ON m.job = f.job AND m.position < f.position
)
SELECT
    s.job,
    s.attempt,
    s.position,
    moment(s.recorded_ms) AS recorded_at,
    coalesce(sum(
        p.device_milli
        * greatest(least(p.to_ms, s.recorded_ms) - greatest(p.from_ms, s.since_ms), 0)
    ) // 1000, 0)::BIGINT AS device_ms
FROM spans AS s
LEFT JOIN progress AS p ON p.job = s.job AND p.from_position < s.position
GROUP BY s.job, s.attempt, s.position, s.recorded_ms;
