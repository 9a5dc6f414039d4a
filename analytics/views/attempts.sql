-- Table: attempts
-- Grain: one row per attempt of a job.
-- One placement of a job, from its order to the release of its devices. Times are empty where it never came so far.
-- Devices are held from the order on or, where others still held them, from the last awaited release on.
--
-- job: Job, as tenant/name@generation.
-- attempt: Number of the attempt, from 1.
-- kind: launch, or migrate where the order moved the job off other devices.
-- resume: Whether it went on from a checkpoint.
-- workers: Workers that were ordered.
-- nodes: Nodes that were ordered.
-- device_milli: Devices that were ordered, thousandths.
-- waits_for: Jobs whose release reports had to come first.
-- ordered_at: Recorded time of the order, UTC.
-- held_at: Since when it held its devices.
-- started_at: Since when it made progress.
-- stopped_at: When its progress ended: told to leave, lost, or over.
-- released_at: When its devices were released.
-- outcome: finished, failed, suspended, stopped; unclaimed where the devices were taken back before they were held; empty while it lasts.
-- retryable: For a failure, whether the job goes on from its last checkpoint.
-- ordered_position: The order.
-- held_position: Record with which it came to hold its devices.
-- started_position: The report that it makes progress.
-- stopped_position: Record that ended its progress.
-- released_position: The report that released its devices.
-- ordered_ms: Recorded time of `ordered_position`, milliseconds since 1970.
-- held_ms: Recorded time of `held_position`.
-- started_ms: Recorded time of `started_position`.
-- stopped_ms: Recorded time of `stopped_position`.
-- released_ms: Recorded time of `released_position`.
CREATE TABLE attempts AS
WITH awaited AS (
    SELECT
        o.job,
        o.attempt,
        max(r.to_position) AS position,
        max(r.to_ms) AS recorded_ms,
        bool_or(r.to_position IS NULL) AS open
    FROM (
        SELECT job, attempt, position, unnest(waits_for) AS holder FROM derived.attempt_orders
    ) AS o
    JOIN releases AS r
        ON r.job = o.holder
        AND r.from_position <= o.position
        AND (r.to_position IS NULL OR r.to_position > o.position)
    GROUP BY o.job, o.attempt
),
held AS (
    SELECT
        o.*,
        CASE WHEN NOT coalesce(w.open, false) THEN coalesce(w.position, o.position) END
            AS held_position,
        CASE WHEN NOT coalesce(w.open, false) THEN coalesce(w.recorded_ms, o.recorded_ms) END
            AS held_ms
    FROM derived.attempt_orders AS o
    LEFT JOIN awaited AS w ON w.job = o.job AND w.attempt = o.attempt
),
taken_back AS (
    SELECT job, attempt FROM derived.attempt_losses WHERE claim_position IS NOT NULL
),
progress AS (
    SELECT job, attempt, min(position) AS position, min(recorded_ms) AS recorded_ms
    FROM (
        SELECT job, attempt, position, recorded_ms FROM fact.job_started
        UNION ALL
        SELECT job, attempt, position, recorded_ms FROM fact.job_resumed
    )
    GROUP BY job, attempt
),
told AS (
    SELECT job, attempt, min(from_position) AS position, min(from_ms) AS recorded_ms
    FROM releases
    WHERE kind <> 'shrink'
    GROUP BY job, attempt
)
SELECT
    h.job,
    h.attempt,
    h.kind,
    h.resume,
    h.workers,
    list_unique(list_transform(h.slices, lambda s: s.node))::BIGINT AS nodes,
    list_sum(list_transform(h.slices, lambda s: len(s.slots) * s.milli))::BIGINT AS device_milli,
    list_filter(h.waits_for, lambda w: w <> h.job) AS waits_for,
    moment(h.recorded_ms) AS ordered_at,
    moment(if(t.job IS NULL, h.held_ms, NULL)) AS held_at,
    moment(p.recorded_ms) AS started_at,
    moment(if(p.job IS NULL, NULL, least(o.recorded_ms, l.recorded_ms))) AS stopped_at,
    moment(l.recorded_ms) AS released_at,
    if(t.job IS NULL, l.kind, 'unclaimed') AS outcome,
    l.retryable,
    h.position AS ordered_position,
    if(t.job IS NULL, h.held_position, NULL) AS held_position,
    p.position AS started_position,
    if(p.job IS NULL, NULL, least(o.position, l.position)) AS stopped_position,
    l.position AS released_position,
    h.recorded_ms AS ordered_ms,
    if(t.job IS NULL, h.held_ms, NULL) AS held_ms,
    p.recorded_ms AS started_ms,
    if(p.job IS NULL, NULL, least(o.recorded_ms, l.recorded_ms)) AS stopped_ms,
    l.recorded_ms AS released_ms
FROM held AS h
LEFT JOIN taken_back AS t ON t.job = h.job AND t.attempt = h.attempt
LEFT JOIN progress AS p ON p.job = h.job AND p.attempt = h.attempt
LEFT JOIN told AS o ON o.job = h.job AND o.attempt = h.attempt
LEFT JOIN derived.leaving_reports AS l ON l.job = h.job AND l.attempt = h.attempt;
