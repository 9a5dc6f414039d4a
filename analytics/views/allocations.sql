-- Table: allocations
-- Grain: one row per attempt of a job, node, and stretch of the ledger in which it held the same slots there in the same tier.
-- Who held which devices, from when to when. Held is from the order, or from the last awaited release, until the release report.
--
-- job: Job, as tenant/name@generation.
-- attempt: Its attempt.
-- tenant: Tenant of the job.
-- team: Team of the job, as tenant/team.
-- tier: premium, standard or basic, at that time.
-- node: Node.
-- slots: Device slots.
-- workers: Workers of the gang on this node.
-- devices: How many slots.
-- milli: Held of each slot, thousandths of a device.
-- device_milli: Held in all, thousandths of a device.
-- from_at: Since when, recorded time, UTC.
-- to_at: Until when; empty while it lasts.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
CREATE TABLE allocations AS
WITH held AS (
    SELECT
        s.job,
        s.attempt,
        greatest(s.from_position, a.held_position) AS from_position,
        s.to_position,
        greatest(s.from_ms, a.held_ms) AS from_ms,
        s.to_ms,
        unnest(s.slices) AS slice
    FROM derived.attempt_slices AS s
    JOIN attempts AS a ON a.job = s.job AND a.attempt = s.attempt
    WHERE a.held_position IS NOT NULL
        AND (s.to_position IS NULL OR s.to_position > a.held_position)
),
owners AS (
    SELECT job_id(job) AS job, job.tenant AS tenant, job.tenant || '/' || job.team AS team
    FROM fact.job_submitted
)
SELECT
    h.job,
    h.attempt,
    o.tenant,
    o.team,
    t.tier,
    h.slice.node AS node,
    h.slice.slots AS slots,
    h.slice.workers AS workers,
    len(h.slice.slots)::BIGINT AS devices,
    h.slice.milli AS milli,
    len(h.slice.slots)::BIGINT * h.slice.milli AS device_milli,
    moment(greatest(h.from_ms, t.from_ms)) AS from_at,
    moment(least(h.to_ms, t.to_ms)) AS to_at,
    greatest(h.from_position, t.from_position) AS from_position,
    least(h.to_position, t.to_position) AS to_position,
    greatest(h.from_ms, t.from_ms) AS from_ms,
    least(h.to_ms, t.to_ms) AS to_ms
FROM held AS h
JOIN owners AS o ON o.job = h.job
JOIN job_tiers AS t
    ON t.job = h.job
    AND (h.to_position IS NULL OR t.from_position < h.to_position)
    AND (t.to_position IS NULL OR t.to_position > h.from_position);
