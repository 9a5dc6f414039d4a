-- View: verdicts
-- Grain: one row per verdict that was reached.
-- What the cycles concluded for each job: placed, or the one reason why not.
--
-- position: The record.
-- job: Job, as tenant/name@generation.
-- reason: Reason code.
-- meaning: What the code means.
-- needed_devices: Devices that the job needs.
-- free_devices: Devices that were free and that it could have used.
-- exclusions: For a job that can never run as asked: which rule excludes how many nodes, in the order of the rules.
-- from_at: Since when it held, recorded time, UTC.
-- to_at: When another verdict followed; empty while it holds.
-- from_ms: `from_at` as milliseconds since 1970.
-- to_ms: `to_at` as milliseconds since 1970.
CREATE VIEW verdicts AS
SELECT
    v.position,
    v.job,
    v.reason,
    r.wording AS meaning,
    v.needed_devices,
    v.free_devices,
    v.exclusions,
    moment(v.recorded_ms) AS from_at,
    moment(lead(v.recorded_ms) OVER along) AS to_at,
    v.recorded_ms AS from_ms,
    lead(v.recorded_ms) OVER along AS to_ms
FROM fact.verdict_reached AS v
LEFT JOIN reasons AS r ON r.question = 'why a job does not run' AND r.code = v.reason
WINDOW along AS (PARTITION BY v.job ORDER BY v.position);
