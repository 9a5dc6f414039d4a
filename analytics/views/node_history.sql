-- Table: node_history
-- Grain: one row per node and stretch of the ledger in which nothing about it changed.
-- What a node was, when: its place, its size, its health, its usable devices.
-- A row holds from the record at `from_position` on, up to but not with the one at `to_position`.
--
-- node: Node.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
-- in_pool: Whether the node was part of the pool; false once it was removed.
-- domain: Domain of the node.
-- cluster: Cluster of that domain, as last declared.
-- region: Region of that cluster, as last declared.
-- sku: Accelerator type; empty for a node without accelerators.
-- health: healthy, suspect, draining, quarantined, repairing or probation.
-- devices: Device slots.
-- usable_devices: Device slots in use, 0 while the node is quarantined or repaired.
-- cpu_milli: Host processors, thousandths.
-- memory_mib: Host memory, MiB.
CREATE TABLE node_history AS
WITH slot_reports AS (
    SELECT node, slot, position, recorded_ms, true AS usable FROM fact.device_declared
    UNION ALL
    SELECT node, slot, position, recorded_ms, usable FROM fact.device_changed
    UNION ALL
    SELECT node, slot, position, recorded_ms, false FROM fact.device_removed
),
changes AS (
    SELECT node.name AS node, position, recorded_ms, node AS spec, true AS in_pool,
        1 AS health, NULL AS slot, NULL AS usable, 1 AS declared
    FROM fact.node_declared
    UNION ALL
    SELECT node.name, position, recorded_ms, node, NULL, NULL, NULL, NULL, 0
    FROM fact.node_changed
    UNION ALL
    SELECT name, position, recorded_ms, NULL, false, NULL, NULL, NULL, 0
    FROM fact.node_removed
    UNION ALL
    SELECT node, position, recorded_ms, NULL, NULL, health, NULL, NULL, 0
    FROM fact.node_health_reported
    UNION ALL
    SELECT node, position, recorded_ms, NULL, NULL, NULL, slot, usable, 0
    FROM slot_reports
),
-- A declaration makes all slots usable, so what was said of them before counts no more.
lives AS (
    SELECT *, sum(declared) OVER (PARTITION BY node ORDER BY position) AS life FROM changes
),
slot_changes AS (
    SELECT
        *,
        CASE WHEN slot IS NULL THEN 0 ELSE
            lag(usable, 1, true) OVER (PARTITION BY node, life, slot ORDER BY position)::INTEGER
            - usable::INTEGER
        END AS newly_unusable
    FROM lives
),
filled AS (
    SELECT
        node,
        position AS from_position,
        lead(position) OVER along AS to_position,
        recorded_ms AS from_ms,
        lead(recorded_ms) OVER along AS to_ms,
        last_value(in_pool IGNORE NULLS) OVER along AS in_pool,
        last_value(spec IGNORE NULLS) OVER along AS spec,
        last_value(health IGNORE NULLS) OVER along AS health,
        sum(newly_unusable) OVER (PARTITION BY node, life ORDER BY position) AS unusable
    FROM slot_changes
    WINDOW along AS (PARTITION BY node ORDER BY position)
),
domains AS (
    SELECT domain.name AS name, domain.cluster AS cluster, position FROM fact.domain_declared
    UNION ALL
    SELECT domain.name, domain.cluster, position FROM fact.domain_changed
),
clusters AS (
    SELECT cluster.name AS name, cluster.region AS region, position FROM fact.cluster_declared
    UNION ALL
    SELECT cluster.name, cluster.region, position FROM fact.cluster_changed
),
places AS (
    SELECT d.name AS domain, d.cluster, c.region
    FROM (SELECT name, arg_max(cluster, position) AS cluster FROM domains GROUP BY name) AS d
    LEFT JOIN (SELECT name, arg_max(region, position) AS region FROM clusters GROUP BY name) AS c
        ON c.name = d.cluster
)
SELECT
    f.node,
    f.from_position,
    f.to_position,
    f.from_ms,
    f.to_ms,
    f.in_pool,
    f.spec.domain AS domain,
    p.cluster,
    p.region,
    f.spec.sku AS sku,
    health_name(f.health) AS health,
    f.spec.devices AS devices,
    CASE
        WHEN NOT f.in_pool OR health_name(f.health) IN ('quarantined', 'repairing') THEN 0
        ELSE greatest(f.spec.devices - f.unusable, 0)
    END::BIGINT AS usable_devices,
    f.spec.cpu_milli AS cpu_milli,
    f.spec.memory_mib AS memory_mib
FROM filled AS f
LEFT JOIN places AS p ON p.domain = f.spec.domain;
