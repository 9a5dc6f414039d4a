-- View: plans
-- Grain: one row per cycle that committed a plan.
-- What each cycle saw, did and proved.
--
-- cycle: Number of the cycle, from 1.
-- opened_at: Recorded time of its opening, UTC.
-- duration_ms: Recorded time from its opening to its commit.
-- since_last_ms: Recorded time since the cycle before it was committed; empty for the first.
-- cut: Position of the state that it was planned on.
-- behind: Records that came between the cut and the opening.
-- records: Records of its batch, its opening and commit included.
-- proposed: Actions in the plan.
-- applied: Actions that held at the head.
-- dropped: Actions that no longer held.
-- launches: Launches that were applied.
-- suspensions: Suspensions that were applied.
-- migrations: Migrations that were applied.
-- resizes: Resizes that were applied.
-- stops: Stops that were applied.
-- verdicts: Verdicts that changed.
-- full_solve: Whether the global allocation was solved, not only the change.
-- reason: Why solving ended.
-- objective: Value of the plan.
-- bound: Value that no plan exceeds.
-- gap_percent: How far the plan may be from the best, per cent.
-- policy: Policy, as name@version.
-- rules: Version of the rules.
-- build: Fingerprint of the planner's build.
-- opened_position: Record that opened it.
-- committed_position: Record that closed it.
CREATE VIEW plans AS
WITH batches AS (
    SELECT o.cycle, o.cut, o.position AS opened_position, o.recorded_ms AS opened_ms,
        c.position AS committed_position, c.recorded_ms AS committed_ms, c.*
            EXCLUDE (cycle, position, recorded_ms, cause)
    FROM fact.cycle_opened AS o
    JOIN fact.plan_committed AS c ON c.cycle = o.cycle
),
members AS (
    SELECT
        b.cycle,
        count(*) AS records,
        count(*) FILTER (r.ce_type LIKE '%.launch_ordered.%') AS launches,
        count(*) FILTER (r.ce_type LIKE '%.suspend_ordered.%') AS suspensions,
        count(*) FILTER (r.ce_type LIKE '%.migrate_ordered.%') AS migrations,
        count(*) FILTER (r.ce_type LIKE '%.resize_ordered.%') AS resizes,
        count(*) FILTER (r.ce_type LIKE '%.stop_ordered.%') AS stops,
        count(*) FILTER (r.ce_type LIKE '%.verdict_reached.%') AS verdicts
    FROM records AS r
    ASOF JOIN batches AS b ON b.opened_position <= r.position
    WHERE r.position <= b.committed_position
    GROUP BY b.cycle
)
SELECT
    b.cycle,
    moment(b.opened_ms) AS opened_at,
    b.committed_ms - b.opened_ms AS duration_ms,
    b.committed_ms - lag(b.committed_ms) OVER (ORDER BY b.cycle) AS since_last_ms,
    b.cut,
    b.opened_position - b.cut AS behind,
    m.records,
    b.proposed,
    b.applied,
    b.dropped,
    m.launches,
    m.suspensions,
    m.migrations,
    m.resizes,
    m.stops,
    m.verdicts,
    b.full_solve,
    b.reason,
    b.objective,
    b.bound,
    b.gap_ppm / 10000.0 AS gap_percent,
    b.policy,
    b.rules,
    b.build,
    b.opened_position,
    b.committed_position
FROM batches AS b
JOIN members AS m ON m.cycle = b.cycle;
