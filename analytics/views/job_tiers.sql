-- Table: job_tiers
-- Grain: one row per job and stretch of the ledger in which its tier stayed the same.
-- What a job was promised, when.
--
-- job: Job, as tenant/name@generation.
-- tier: premium, standard or basic.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
CREATE TABLE job_tiers AS
WITH changes AS (
    SELECT job_id(job) AS job, job.tier AS tier, position, recorded_ms FROM fact.job_submitted
    UNION ALL
    SELECT job, tier, position, recorded_ms FROM fact.job_tier_changed
)
SELECT
    job,
    tier_name(tier) AS tier,
    position AS from_position,
    lead(position) OVER along AS to_position,
    recorded_ms AS from_ms,
    lead(recorded_ms) OVER along AS to_ms
FROM changes
WINDOW along AS (PARTITION BY job ORDER BY position);
