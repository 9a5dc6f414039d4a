-- Table: releases
-- Grain: one row per order, or loss under an attempt, after which a job had to give devices up.
-- Devices are held until the release report, so this is how long a successor had to wait, and for whom.
--
-- job: Job that gives up.
-- attempt: Its attempt.
-- kind: suspend, migrate, stop, shrink or loss.
-- from_position: The order or loss.
-- to_position: The report that released the devices; empty while it is awaited.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
CREATE TABLE releases AS
WITH given_up AS (
    SELECT job, attempt, 'suspend' AS kind, position, recorded_ms,
        NULL::BIGINT AS part_position, NULL::BIGINT AS part_ms
    FROM fact.suspend_ordered
    UNION ALL
    SELECT job, attempt, 'migrate', position, recorded_ms, NULL, NULL FROM fact.migrate_ordered
    UNION ALL
    SELECT job, attempt, 'stop', position, recorded_ms, NULL, NULL FROM fact.stop_ordered
    UNION ALL
    SELECT job, attempt, 'loss', position, recorded_ms, NULL, NULL
    FROM derived.attempt_losses
    WHERE position IS NOT NULL
    UNION ALL
    SELECT job, attempt, 'shrink', position, recorded_ms, reported_position, reported_ms
    FROM resizes
    WHERE kind = 'shrink'
)
SELECT
    g.job,
    g.attempt,
    g.kind,
    g.position AS from_position,
    -- `least` passes over what is empty: the first of the two reports that came.
    least(g.part_position, l.position) AS to_position,
    g.recorded_ms AS from_ms,
    least(g.part_ms, l.recorded_ms) AS to_ms
FROM given_up AS g
LEFT JOIN derived.leaving_reports AS l
    ON l.job = g.job AND l.attempt = g.attempt AND l.position > g.position;
