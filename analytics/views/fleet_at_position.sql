-- Macro: fleet_at_position(cut)
-- Grain: one row per node that was in the pool.
-- The fleet as it stood after the first `cut` records.
--
-- node: Node.
-- region: Region.
-- cluster: Cluster.
-- domain: Domain.
-- sku: Accelerator type; empty for a node without accelerators.
-- health: Health at that moment.
-- devices: Device slots.
-- usable_devices: Device slots in use, 0 while the node was quarantined or repaired.
-- held_milli: Devices that jobs held, thousandths.
-- jobs: Jobs that held devices or ran there.
CREATE MACRO fleet_at_position(cut) AS TABLE
SELECT
    n.node,
    n.region,
    n.cluster,
    n.domain,
    n.sku,
    n.health,
    n.devices,
    n.usable_devices,
    coalesce(h.milli, 0)::BIGINT AS held_milli,
    coalesce(h.jobs, 0) AS jobs
FROM node_history AS n
LEFT JOIN (
    SELECT node, sum(device_milli) AS milli, count(DISTINCT job) AS jobs
    FROM allocations
    WHERE in_force(from_position, to_position, cut)
    GROUP BY node
) AS h ON h.node = n.node
WHERE n.in_pool AND in_force(n.from_position, n.to_position, cut);
