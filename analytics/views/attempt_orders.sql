-- Table: derived.attempt_orders
-- Grain: one row per attempt of a job.
-- The order that placed the attempt. Where a claim was given up before it held devices, its number may be ordered again; the
-- last order counts.
--
-- job: Job.
-- attempt: Number of the attempt, from 1.
-- kind: launch, or migrate where the order moved the job off other devices.
-- position: The order.
-- recorded_ms: Its recorded time, milliseconds since 1970.
-- cause: Record that started it.
-- workers: Workers of the gang.
-- slices: What it takes: node, device slots, thousandths of each, workers.
-- waits_for: Jobs whose release reports must come first; for a migration also the job itself.
-- resume: Whether it goes on from a checkpoint.
CREATE TABLE derived.attempt_orders AS
WITH orders AS (
    SELECT job, attempt, 'launch' AS kind, position, recorded_ms, cause, workers, slices,
        waits_for, resume
    FROM fact.launch_ordered
    UNION ALL
    SELECT job, attempt + 1, 'migrate', position, recorded_ms, cause, workers, slices,
        list_append(waits_for, job), true
    FROM fact.migrate_ordered
)
SELECT * FROM orders
QUALIFY row_number() OVER (PARTITION BY job, attempt ORDER BY position DESC) = 1;
