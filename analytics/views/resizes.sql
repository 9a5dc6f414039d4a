-- Table: resizes
-- Grain: one row per resize that was ordered.
-- A growing gang holds its new devices from the order on, a shrinking one gives its old devices up with the report.
--
-- job: Job.
-- attempt: Its attempt.
-- resize: Number of the resize in the attempt, from 1.
-- kind: grow or shrink.
-- workers_before: Workers before.
-- workers: Workers after.
-- slices: What the gang holds once resized.
-- gains: Job that gains the devices.
-- position: The order.
-- recorded_ms: Its recorded time, milliseconds since 1970.
-- reported_position: The report that it is done; empty where none came.
-- reported_ms: Its recorded time.
CREATE TABLE resizes AS
SELECT
    o.job,
    o.attempt,
    o.resize,
    CASE WHEN o.workers > workers_before THEN 'grow' ELSE 'shrink' END AS kind,
    o.workers_before,
    o.workers,
    o.slices,
    o.gains,
    o.position,
    o.recorded_ms,
    r.position AS reported_position,
    r.recorded_ms AS reported_ms
FROM (
    SELECT r.*,
        lag(r.workers, 1, a.workers)
            OVER (PARTITION BY r.job, r.attempt ORDER BY r.resize) AS workers_before
    FROM fact.resize_ordered AS r
    JOIN derived.attempt_orders AS a ON a.job = r.job AND a.attempt = r.attempt
) AS o
LEFT JOIN fact.job_resized AS r
    ON r.job = o.job AND r.attempt = o.attempt AND r.resize = o.resize;
