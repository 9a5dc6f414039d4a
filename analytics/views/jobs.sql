-- View: jobs
-- Grain: one row per job.
-- The whole life of each job. Device time is in milliseconds of one whole device; while a job lives, up to the end of the history.
--
-- job: Job, as tenant/name@generation.
-- tenant: Tenant.
-- team: Team, as tenant/team.
-- tier: Tier, as last changed.
-- submitted_tier: Tier as submitted.
-- priority: Priority, as last changed.
-- phase: Phase at the end of the history.
-- outcome: finished, failed or cancelled; empty while it lives.
-- reason: Reason of the last verdict.
-- workers_min: Fewest workers.
-- workers_max: Most workers.
-- worker_milli: Devices of one worker, thousandths.
-- device_milli: Devices that it is due: those of its fewest workers, thousandths.
-- submitted_at: When it was submitted, recorded time, UTC.
-- first_started_at: When it first made progress.
-- ended_at: When it was over.
-- wait_ms: From its submission to its first start; empty where it never started.
-- completion_ms: From its submission to its end; empty while it lives.
-- suspended_ms: Between its first start and its end without progress, as far as it resumed.
-- attempts: Attempts.
-- moves: Suspensions, migrations and shrinks.
-- suspensions: Suspensions.
-- migrations: Migrations.
-- shrinks: Shrinks.
-- failures: Failures, losses of a node included.
-- held_device_ms: Device time in which it held devices.
-- useful_device_ms: Device time in which it made progress.
-- lost_device_ms: Device time that failures threw away.
-- due_device_ms: Device time due: its due devices from its first start to its end.
-- received_device_ms: Device time of progress, counted up to what is due.
-- device_fraction: Received over due; empty where nothing was due.
-- submitted_ms: `submitted_at` as milliseconds since 1970.
-- first_started_ms: `first_started_at` as milliseconds since 1970.
-- ended_ms: `ended_at` as milliseconds since 1970.
CREATE VIEW jobs AS
WITH submitted AS (
    SELECT job_id(job) AS id, job.*, recorded_ms AS submitted_ms FROM fact.job_submitted
),
ends AS (
    SELECT job, phase AS outcome, from_ms AS ended_ms
    FROM phases
    WHERE phase IN ('finished', 'failed', 'cancelled')
    QUALIFY row_number() OVER (PARTITION BY job ORDER BY from_position) = 1
),
tried AS (
    SELECT job, count(*) AS attempts, min(started_ms) AS first_started_ms
    FROM attempts
    GROUP BY job
),
moved AS (
    SELECT
        job,
        count(*) FILTER (kind = 'suspend') AS suspensions,
        count(*) FILTER (kind = 'migrate') AS migrations,
        count(*) FILTER (kind = 'shrink') AS shrinks,
        count(*) FILTER (kind = 'loss') AS losses
    FROM releases
    GROUP BY job
),
failed AS (SELECT job, count(*) AS failures FROM fact.job_failed GROUP BY job),
held AS (
    SELECT job, sum(device_milli * (coalesce(to_ms, last_ms) - from_ms)) // 1000 AS device_ms
    FROM allocations, history
    GROUP BY job
),
worked AS (
    SELECT
        p.job,
        sum(p.device_milli * (coalesce(p.to_ms, h.last_ms) - p.from_ms)) // 1000 AS useful,
        sum(
            least(p.device_milli, s.workers_min * s.worker.devices * s.worker.device_milli)
            * (coalesce(p.to_ms, h.last_ms) - p.from_ms)
        ) // 1000 AS received
    FROM progress AS p
    JOIN submitted AS s ON s.id = p.job
    CROSS JOIN history AS h
    GROUP BY p.job
),
lost AS (SELECT job, sum(device_ms) AS device_ms FROM lost_work GROUP BY job),
paused AS (
    SELECT job, sum(wait_ms) AS suspended_ms FROM waits WHERE outcome = 'resumed' GROUP BY job
),
priorities AS (
    SELECT job, arg_max(priority, position) AS priority FROM fact.job_priority_changed GROUP BY job
),
verdicts_last AS (
    SELECT job, arg_max(reason, position) AS reason FROM fact.verdict_reached GROUP BY job
),
amounts AS (
    SELECT
        s.id,
        s.worker.devices * s.worker.device_milli AS worker_milli,
        CASE
            WHEN t.first_started_ms IS NULL THEN 0
            ELSE s.workers_min * s.worker.devices * s.worker.device_milli
                * (coalesce(e.ended_ms, h.last_ms) - t.first_started_ms) // 1000
        END AS due_device_ms
    FROM submitted AS s
    CROSS JOIN history AS h
    LEFT JOIN tried AS t ON t.job = s.id
    LEFT JOIN ends AS e ON e.job = s.id
)
SELECT
    s.id AS job,
    s.tenant,
    s.tenant || '/' || s.team AS team,
    i.tier,
    tier_name(s.tier) AS submitted_tier,
    coalesce(y.priority, s.priority) AS priority,
    c.phase,
    e.outcome,
    v.reason,
    s.workers_min,
    s.workers_max,
    a.worker_milli,
    s.workers_min * a.worker_milli AS device_milli,
    moment(s.submitted_ms) AS submitted_at,
    moment(t.first_started_ms) AS first_started_at,
    moment(e.ended_ms) AS ended_at,
    t.first_started_ms - s.submitted_ms AS wait_ms,
    e.ended_ms - s.submitted_ms AS completion_ms,
    coalesce(u.suspended_ms, 0)::BIGINT AS suspended_ms,
    coalesce(t.attempts, 0) AS attempts,
    coalesce(m.suspensions + m.migrations + m.shrinks, 0) AS moves,
    coalesce(m.suspensions, 0) AS suspensions,
    coalesce(m.migrations, 0) AS migrations,
    coalesce(m.shrinks, 0) AS shrinks,
    coalesce(f.failures, 0) + coalesce(m.losses, 0) AS failures,
    coalesce(h.device_ms, 0)::BIGINT AS held_device_ms,
    coalesce(w.useful, 0)::BIGINT AS useful_device_ms,
    coalesce(l.device_ms, 0)::BIGINT AS lost_device_ms,
    a.due_device_ms,
    coalesce(w.received, 0)::BIGINT AS received_device_ms,
    w.received / nullif(a.due_device_ms, 0) AS device_fraction,
    s.submitted_ms,
    t.first_started_ms,
    e.ended_ms
FROM submitted AS s
JOIN amounts AS a ON a.id = s.id
JOIN job_tiers AS i ON i.job = s.id AND i.to_position IS NULL
JOIN phases AS c ON c.job = s.id AND c.to_position IS NULL
LEFT JOIN ends AS e ON e.job = s.id
LEFT JOIN tried AS t ON t.job = s.id
LEFT JOIN moved AS m ON m.job = s.id
LEFT JOIN failed AS f ON f.job = s.id
LEFT JOIN held AS h ON h.job = s.id
LEFT JOIN worked AS w ON w.job = s.id
LEFT JOIN lost AS l ON l.job = s.id
LEFT JOIN paused AS u ON u.job = s.id
LEFT JOIN priorities AS y ON y.job = s.id
LEFT JOIN verdicts_last AS v ON v.job = s.id;
