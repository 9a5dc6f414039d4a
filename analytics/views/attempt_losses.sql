-- Table: derived.attempt_losses
-- Grain: one row per attempt that lost a node or a device under it, or the claim to one.
-- From its first loss on, an attempt that held its devices makes no progress, and what waits for its devices waits for its report. One
-- that did not hold them yet gives up its claim.
--
-- job: Job.
-- attempt: Its attempt.
-- position: First loss of devices that it held; empty where there was none.
-- recorded_ms: Recorded time of that loss, milliseconds since 1970.
-- claim_position: First record that took back devices that it did not hold yet; empty where none did.
CREATE TABLE derived.attempt_losses AS
WITH pieces AS (
    SELECT job, attempt, from_position, to_position, unnest(slices) AS slice
    FROM derived.attempt_slices
    WHERE EXISTS (SELECT 1 FROM losses)
),
hits AS (
    SELECT p.job, p.attempt, l.kind, l.position, l.recorded_ms
    FROM pieces AS p
    JOIN losses AS l
        ON l.node = p.slice.node
        AND l.position > p.from_position
        AND (p.to_position IS NULL OR l.position < p.to_position)
    WHERE l.kind <> 'slots'
        OR len(list_filter(p.slice.slots, lambda s: s BETWEEN l.first_slot AND l.last_slot)) > 0
),
reports AS (
    SELECT job, position FROM derived.leaving_reports
    UNION ALL
    SELECT job, position FROM fact.job_resized
    UNION ALL
    -- Who starts holds its devices, whatever it was told to wait for.
    SELECT job || '#' || attempt, position FROM fact.job_started
    UNION ALL
    SELECT job || '#' || attempt, position FROM fact.job_resumed
),
awaited AS (
    SELECT job, attempt, position, unnest(waits_for) AS holder FROM derived.attempt_orders
),
free AS (
    SELECT w.job, w.attempt, max(coalesce(r.position, 9223372036854775807)) AS position
    FROM awaited AS w
    ASOF LEFT JOIN reports AS r ON r.job = w.holder AND r.position > w.position
    GROUP BY w.job, w.attempt
),
held AS (
    SELECT
        o.job,
        o.attempt,
        o.kind,
        o.position AS ordered_position,
        least(coalesce(f.position, o.position), s.position) AS position
    FROM derived.attempt_orders AS o
    LEFT JOIN free AS f ON f.job = o.job AND f.attempt = o.attempt
    ASOF LEFT JOIN reports AS s
        ON s.job = o.job || '#' || o.attempt AND s.position > o.position
),
-- What is promised but not held yet is taken back with a change of its nodes, when the job is cancelled, and, for a migration, when
-- the attempt that should leave loses a node or is over.
taken_back AS (
    SELECT h.job, h.attempt, x.position
    FROM held AS h
    JOIN hits AS x ON x.job = h.job AND x.attempt = h.attempt AND x.position < h.position
    UNION ALL
    SELECT h.job, h.attempt, c.position
    FROM held AS h
    JOIN fact.job_cancelled AS c
        ON c.job = h.job AND c.position > h.ordered_position AND c.position < h.position
    UNION ALL
    SELECT h.job, h.attempt, x.position
    FROM held AS h
    JOIN hits AS x
        ON x.job = h.job AND x.attempt + 1 = h.attempt
        AND x.position > h.ordered_position AND x.position < h.position
    WHERE h.kind = 'migrate' AND x.kind <> 'respecified'
    UNION ALL
    SELECT h.job, h.attempt, l.position
    FROM held AS h
    JOIN derived.leaving_reports AS l
        ON l.job = h.job AND l.attempt + 1 = h.attempt AND l.position > h.ordered_position
    WHERE h.kind = 'migrate' AND (l.kind = 'finished' OR l.kind = 'failed' AND NOT l.retryable)
),
claims AS (
    SELECT job, attempt, min(position) AS position FROM taken_back GROUP BY job, attempt
),
lost AS (
    SELECT x.job, x.attempt, min(x.position) AS position, min(x.recorded_ms) AS recorded_ms
    FROM hits AS x
    JOIN held AS h ON h.job = x.job AND h.attempt = x.attempt
    LEFT JOIN fact.stop_ordered AS s ON s.job = x.job AND s.attempt = x.attempt
    WHERE x.position > h.position
        AND x.kind <> 'respecified'
        -- What was told to stop has nothing left to lose.
        AND (s.position IS NULL OR s.position > x.position)
    GROUP BY x.job, x.attempt
)
SELECT
    coalesce(l.job, c.job) AS job,
    coalesce(l.attempt, c.attempt) AS attempt,
    if(c.job IS NULL, l.position, NULL) AS position,
    if(c.job IS NULL, l.recorded_ms, NULL) AS recorded_ms,
    c.position AS claim_position
FROM lost AS l
FULL JOIN claims AS c ON c.job = l.job AND c.attempt = l.attempt;
