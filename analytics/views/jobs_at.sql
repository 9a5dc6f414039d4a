-- Macro: jobs_at(t)
-- Grain: one row per job that had been submitted by then.
-- The jobs as they stood once all records up to the time `t` were in; `t` is a TIMESTAMP (UTC) or milliseconds since 1970.
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
CREATE MACRO jobs_at(t) AS TABLE
SELECT * FROM jobs_at_position(cut_at(t));
