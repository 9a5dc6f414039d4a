-- Macro: jobs_at_position(cut)
-- Grain: one row per job that had been submitted.
-- The jobs as they stood after the first `cut` records.
--
-- job: Job, as tenant/name@generation.
-- tenant: Tenant.
-- team: Team, as tenant/team.
-- tier: Tier at that moment.
-- phase: Phase at that moment.
-- attempt: Latest attempt; empty before the first.
-- since_at: Since when it was in that phase, recorded time, UTC.
-- held_milli: Devices that it held, thousandths.
-- useful_milli: Devices with which it made progress, thousandths.
-- reason: Reason of its latest verdict.
CREATE MACRO jobs_at_position(cut) AS TABLE
SELECT
    p.job,
    s.job.tenant AS tenant,
    s.job.tenant || '/' || s.job.team AS team,
    t.tier,
    p.phase,
    p.attempt,
    p.from_at AS since_at,
    coalesce(h.milli, 0)::BIGINT AS held_milli,
    coalesce(u.milli, 0)::BIGINT AS useful_milli,
    v.reason
FROM phases AS p
JOIN fact.job_submitted AS s ON job_id(s.job) = p.job
JOIN job_tiers AS t ON t.job = p.job AND in_force(t.from_position, t.to_position, cut)
LEFT JOIN (
    SELECT job, sum(device_milli) AS milli
    FROM allocations
    WHERE in_force(from_position, to_position, cut)
    GROUP BY job
) AS h ON h.job = p.job
LEFT JOIN (
    SELECT job, sum(device_milli) AS milli
    FROM progress
    WHERE in_force(from_position, to_position, cut)
    GROUP BY job
) AS u ON u.job = p.job
LEFT JOIN (
    SELECT job, arg_max(reason, position) AS reason
    FROM fact.verdict_reached
    WHERE position < cut
    GROUP BY job
) AS v ON v.job = p.job
WHERE in_force(p.from_position, p.to_position, cut);
