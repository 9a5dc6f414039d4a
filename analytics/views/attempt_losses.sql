-- View: derived.attempt_losses
-- Grain: one row per attempt that lost a node or a device under it.
-- The first such loss; from then on the attempt makes no progress, and what waits for its devices waits for its report.
--
-- job: Job.
-- attempt: Its attempt.
-- position: The loss.
-- recorded_ms: Its recorded time, milliseconds since 1970.
-- claim_position: First record that took back devices not yet held, if one did.
CREATE VIEW derived.attempt_losses AS
WITH pieces AS (
    SELECT job, attempt, from_position, to_position, unnest(slices) AS slice
    FROM derived.attempt_slices
    WHERE EXISTS (SELECT 1 FROM losses)
)
SELECT
    p.job,
    p.attempt,
    min(l.position) FILTER (l.kind <> 'respecified') AS position,
    min(l.recorded_ms) FILTER (l.kind <> 'respecified') AS recorded_ms,
    min(l.position) AS claim_position
FROM pieces AS p
JOIN losses AS l
    ON l.node = p.slice.node
    AND l.position > p.from_position
    AND (p.to_position IS NULL OR l.position < p.to_position)
    AND (
        l.kind <> 'slots'
        OR list_max(p.slice.slots) >= l.first_slot AND list_min(p.slice.slots) <= l.last_slot
    )
GROUP BY p.job, p.attempt;
