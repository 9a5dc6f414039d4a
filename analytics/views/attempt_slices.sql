-- Table: derived.attempt_slices
-- Grain: one row per attempt and stretch of the ledger in which it was placed on the same slices.
-- Starts with the order, even where the devices are not held yet; `allocations` starts where they are.
--
-- job: Job.
-- attempt: Its attempt.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
-- workers: Workers of the gang.
-- slices: What it is placed on: node, device slots, thousandths of each, workers.
CREATE TABLE derived.attempt_slices AS
WITH steps AS (
    SELECT job, attempt, position, recorded_ms, workers, slices FROM derived.attempt_orders
    UNION ALL
    SELECT job, attempt, position, recorded_ms, workers, slices FROM resizes WHERE kind = 'grow'
    UNION ALL
    SELECT job, attempt, reported_position, reported_ms, workers, slices
    FROM resizes
    WHERE kind = 'shrink' AND reported_position IS NOT NULL
),
stretches AS (
    SELECT
        job,
        attempt,
        position AS from_position,
        lead(position) OVER along AS next_position,
        recorded_ms AS from_ms,
        lead(recorded_ms) OVER along AS next_ms,
        workers,
        slices
    FROM steps
    WINDOW along AS (PARTITION BY job, attempt ORDER BY position)
)
SELECT
    s.job,
    s.attempt,
    s.from_position,
    coalesce(s.next_position, l.position) AS to_position,
    s.from_ms,
    coalesce(s.next_ms, l.recorded_ms) AS to_ms,
    s.workers,
    s.slices
FROM stretches AS s
LEFT JOIN derived.leaving_reports AS l ON l.job = s.job AND l.attempt = s.attempt;
