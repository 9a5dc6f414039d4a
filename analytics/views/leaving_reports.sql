-- Table: derived.leaving_reports
-- Grain: one row per attempt that released all its devices.
-- The report with which an attempt ended.
--
-- job: Job.
-- attempt: Its attempt.
-- kind: suspended, failed, finished or stopped.
-- retryable: For a failure, whether the job goes on from its last checkpoint.
-- position: The report.
-- recorded_ms: Its recorded time, milliseconds since 1970.
CREATE TABLE derived.leaving_reports AS
WITH reports AS (
    SELECT job, attempt, 'suspended' AS kind, NULL AS retryable, position, recorded_ms
    FROM fact.job_suspended
    UNION ALL
    SELECT job, attempt, 'failed', retryable, position, recorded_ms FROM fact.job_failed
    UNION ALL
    SELECT job, attempt, 'finished', NULL, position, recorded_ms FROM fact.job_finished
    UNION ALL
    SELECT job, attempt, 'stopped', NULL, position, recorded_ms FROM fact.job_stopped
)
SELECT * FROM reports
QUALIFY row_number() OVER (PARTITION BY job, attempt ORDER BY position) = 1;
