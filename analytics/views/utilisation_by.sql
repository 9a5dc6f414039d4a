-- Macro: utilisation_by(width_ms)
-- Grain: one row per tier and bucket of `width_ms` milliseconds, from the first record to the last.
-- Exact means over each bucket, not samples: held and useful devices change in steps, and the area under the steps is divided by the
-- time. Buckets start at multiples of the width; the last one ends with the history.
--
-- bucket_at: Start of the bucket, recorded time, UTC.
-- tier: premium, standard or basic.
-- capacity_devices: Devices of all nodes in the pool, the same for each tier.
-- usable_devices: Those of them that could run work.
-- held_devices: Devices that jobs of the tier held.
-- useful_devices: Devices with which jobs of the tier made progress.
-- bucket_ms: Start of the bucket, milliseconds since 1970.
-- span_ms: How much of the bucket the history covers.
CREATE MACRO utilisation_by(width_ms) AS TABLE
WITH tiers AS (SELECT unnest(['premium', 'standard', 'basic']) AS tier),
changes AS (
    SELECT tier, from_ms AS at_ms, device_milli AS held, 0 AS useful, 0 AS capacity, 0 AS usable
    FROM allocations
    UNION ALL
    SELECT tier, to_ms, -device_milli, 0, 0, 0 FROM allocations WHERE to_ms IS NOT NULL
    UNION ALL
    SELECT tier, from_ms, 0, device_milli, 0, 0 FROM progress
    UNION ALL
    SELECT tier, to_ms, 0, -device_milli, 0, 0 FROM progress WHERE to_ms IS NOT NULL
    UNION ALL
    SELECT t.tier, n.at_ms, 0, 0, n.capacity, n.usable FROM capacity_changes AS n, tiers AS t
    UNION ALL
    -- Where a tier did nothing, its level is still known to be 0.
    SELECT t.tier, h.first_ms, 0, 0, 0, 0 FROM tiers AS t, history AS h
),
levels AS (
    SELECT
        tier,
        at_ms,
        sum(sum(held)) OVER along AS held,
        sum(sum(useful)) OVER along AS useful,
        sum(sum(capacity)) OVER along AS capacity,
        sum(sum(usable)) OVER along AS usable,
        lead(at_ms) OVER along - at_ms AS lasts_ms
    FROM changes
    GROUP BY tier, at_ms
    WINDOW along AS (PARTITION BY tier ORDER BY at_ms)
),
areas AS (
    SELECT
        *,
        sum(held * lasts_ms) OVER before AS held_area,
        sum(useful * lasts_ms) OVER before AS useful_area,
        sum(capacity * lasts_ms) OVER before AS capacity_area,
        sum(usable * lasts_ms) OVER before AS usable_area
    FROM levels
    WINDOW before AS (
        PARTITION BY tier ORDER BY at_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
edges AS (
    SELECT
        t.tier,
        b.bucket_ms,
        least(greatest(b.bucket_ms, h.first_ms), h.last_ms) AS edge_ms
    FROM history AS h, tiers AS t,
        (SELECT unnest(range(
            (first_ms // width_ms) * width_ms, last_ms + width_ms, width_ms
        )) AS bucket_ms FROM history) AS b
),
reached AS (
    SELECT
        e.tier,
        e.bucket_ms,
        e.edge_ms,
        coalesce(a.held_area, 0) + a.held * (e.edge_ms - a.at_ms) AS held,
        coalesce(a.useful_area, 0) + a.useful * (e.edge_ms - a.at_ms) AS useful,
        coalesce(a.capacity_area, 0) + a.capacity * (e.edge_ms - a.at_ms) AS capacity,
        coalesce(a.usable_area, 0) + a.usable * (e.edge_ms - a.at_ms) AS usable
    FROM edges AS e
    ASOF JOIN areas AS a ON a.tier = e.tier AND a.at_ms <= e.edge_ms
),
buckets AS (
    SELECT
        tier,
        bucket_ms,
        lead(edge_ms) OVER along - edge_ms AS span_ms,
        lead(held) OVER along - held AS held,
        lead(useful) OVER along - useful AS useful,
        lead(capacity) OVER along - capacity AS capacity,
        lead(usable) OVER along - usable AS usable
    FROM reached
    WINDOW along AS (PARTITION BY tier ORDER BY bucket_ms)
)
SELECT
    moment(bucket_ms) AS bucket_at,
    tier,
    capacity / span_ms / 1000 AS capacity_devices,
    usable / span_ms / 1000 AS usable_devices,
    held / span_ms / 1000 AS held_devices,
    useful / span_ms / 1000 AS useful_devices,
    bucket_ms,
    span_ms
FROM buckets
WHERE span_ms > 0;
