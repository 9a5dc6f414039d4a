-- Table: phases
-- Grain: one row per job and stretch of the ledger in which its phase stayed the same.
-- Where a job stood, when: queued, claimed, starting, running, suspending, suspended, stopping, and at the end finished, failed or
-- cancelled, which last for ever. A row holds from the record at `from_position` on, up to but not with the one at `to_position`.
--
-- job: Job, as tenant/name@generation.
-- phase: Phase, as the state model above the contract names it.
-- attempt: Attempt that it is about; empty before the first.
-- from_at: Since when, recorded time, UTC.
-- to_at: Until when; empty while it lasts.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
CREATE TABLE phases AS
WITH cancels AS (
    SELECT job, min(position) AS position, min(recorded_ms) AS recorded_ms
    FROM fact.job_cancelled
    GROUP BY job
),
first_starts AS (
    SELECT job, min(started_position) AS position FROM attempts GROUP BY job
),
-- `rank` decides between two that start with the same record: the further one counts.
steps AS (
    SELECT job_id(job) AS job, NULL AS attempt, 'queued' AS phase, 0 AS rank, position, recorded_ms
    FROM fact.job_submitted
    UNION ALL
    SELECT job, attempt, 'claimed', 1, ordered_position, ordered_ms
    FROM attempts
    WHERE kind = 'launch' AND outcome IS DISTINCT FROM 'unclaimed'
    UNION ALL
    SELECT job, attempt, 'starting', 3, held_position, held_ms
    FROM attempts
    WHERE held_position IS NOT NULL
    UNION ALL
    SELECT job, attempt, 'running', 4, started_position, started_ms
    FROM attempts
    WHERE started_position IS NOT NULL
    UNION ALL
    SELECT job, attempt, if(kind IN ('stop', 'loss'), 'stopping', 'suspending'), 5,
        from_position, from_ms
    FROM releases
    WHERE kind <> 'shrink'
    UNION ALL
    SELECT
        l.job,
        l.attempt,
        CASE
            WHEN l.kind = 'finished' THEN 'finished'
            WHEN l.kind = 'failed' AND NOT l.retryable THEN 'failed'
            WHEN c.position < l.position THEN 'cancelled'
            WHEN n.ordered_position < l.position THEN 'claimed'
            WHEN s.position < l.position THEN 'suspended'
            ELSE 'queued'
        END,
        2,
        l.position,
        l.recorded_ms
    FROM derived.leaving_reports AS l
    LEFT JOIN cancels AS c ON c.job = l.job
    LEFT JOIN first_starts AS s ON s.job = l.job
    LEFT JOIN attempts AS n
        ON n.job = l.job AND n.attempt = l.attempt + 1 AND n.kind = 'migrate'
        AND n.outcome IS DISTINCT FROM 'unclaimed'
    UNION ALL
    SELECT c.job, NULL, 'cancelled', 6, c.position, c.recorded_ms
    FROM cancels AS c
    WHERE NOT EXISTS (
        SELECT 1 FROM attempts AS a
        WHERE a.job = c.job
            AND a.held_position < c.position
            AND (a.released_position IS NULL OR a.released_position > c.position)
    )
),
furthest AS (
    SELECT * FROM steps
    QUALIFY row_number() OVER (PARTITION BY job, position ORDER BY rank DESC) = 1
)
SELECT
    job,
    phase,
    max(attempt) OVER along AS attempt,
    moment(recorded_ms) AS from_at,
    moment(lead(recorded_ms) OVER along) AS to_at,
    position AS from_position,
    lead(position) OVER along AS to_position,
    recorded_ms AS from_ms,
    lead(recorded_ms) OVER along AS to_ms
FROM furthest
WINDOW along AS (PARTITION BY job ORDER BY position);
