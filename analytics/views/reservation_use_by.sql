-- Macro: reservation_use_by(width_ms)
-- Grain: one row per team that owned a reservation and bucket of `width_ms` milliseconds, from the first record to the last.
-- Exact means over each bucket. What is in use is, at every moment, the lesser of what the team owns and what its premium work holds, over all
-- its reservations together.
--
-- bucket_at: Start of the bucket, recorded time, UTC.
-- team: Team, as tenant/team.
-- reserved_devices: Devices that the team owned.
-- premium_devices: Devices that its premium work held.
-- in_use_devices: Reserved devices in use by its premium work.
-- idle_devices: Reserved devices that its premium work left to others.
-- bucket_ms: Start of the bucket, milliseconds since 1970.
-- span_ms: How much of the bucket the history covers.
CREATE MACRO reservation_use_by(width_ms) AS TABLE
WITH owners AS (SELECT DISTINCT team FROM reservations),
changes AS (
    SELECT team, from_ms AS at_ms, devices * 1000 AS reserved, 0 AS premium FROM reservations
    UNION ALL
    SELECT team, to_ms, -devices * 1000, 0 FROM reservations WHERE to_ms IS NOT NULL
    UNION ALL
    SELECT team, from_ms, 0, device_milli FROM allocations WHERE tier = 'premium'
    UNION ALL
    SELECT team, to_ms, 0, -device_milli
    FROM allocations
    WHERE tier = 'premium' AND to_ms IS NOT NULL
    UNION ALL
    SELECT team, first_ms, 0, 0 FROM owners, history
),
levels AS (
    SELECT
        team,
        at_ms,
        sum(sum(reserved)) OVER along AS reserved,
        sum(sum(premium)) OVER along AS premium,
        lead(at_ms) OVER along - at_ms AS lasts_ms
    FROM changes
    WHERE team IN (FROM owners)
    GROUP BY team, at_ms
    WINDOW along AS (PARTITION BY team ORDER BY at_ms)
),
areas AS (
    SELECT
        *,
        least(reserved, premium) AS in_use,
        sum(reserved * lasts_ms) OVER before AS reserved_area,
        sum(premium * lasts_ms) OVER before AS premium_area,
        sum(least(reserved, premium) * lasts_ms) OVER before AS in_use_area
    FROM levels
    WINDOW before AS (
        PARTITION BY team ORDER BY at_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
edges AS (
    SELECT
        o.team,
        b.bucket_ms,
        least(greatest(b.bucket_ms, h.first_ms), h.last_ms) AS edge_ms
    FROM history AS h, owners AS o,
        (SELECT unnest(range(
            (first_ms // width_ms) * width_ms, last_ms + width_ms, width_ms
        )) AS bucket_ms FROM history) AS b
),
reached AS (
    SELECT
        e.team,
        e.bucket_ms,
        e.edge_ms,
        coalesce(a.reserved_area, 0) + a.reserved * (e.edge_ms - a.at_ms) AS reserved,
        coalesce(a.premium_area, 0) + a.premium * (e.edge_ms - a.at_ms) AS premium,
        coalesce(a.in_use_area, 0) + a.in_use * (e.edge_ms - a.at_ms) AS in_use
    FROM edges AS e
    ASOF JOIN areas AS a ON a.team = e.team AND a.at_ms <= e.edge_ms
),
buckets AS (
    SELECT
        team,
        bucket_ms,
        lead(edge_ms) OVER along - edge_ms AS span_ms,
        lead(reserved) OVER along - reserved AS reserved,
        lead(premium) OVER along - premium AS premium,
        lead(in_use) OVER along - in_use AS in_use
    FROM reached
    WINDOW along AS (PARTITION BY team ORDER BY bucket_ms)
)
SELECT
    moment(bucket_ms) AS bucket_at,
    team,
    reserved / span_ms / 1000 AS reserved_devices,
    premium / span_ms / 1000 AS premium_devices,
    in_use / span_ms / 1000 AS in_use_devices,
    (reserved - in_use) / span_ms / 1000 AS idle_devices,
    bucket_ms,
    span_ms
FROM buckets
WHERE span_ms > 0;
