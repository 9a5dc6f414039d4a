-- View: nodes
-- Grain: one row per node that is in the pool at the end of the history.
-- The fleet as it stands; `fleet_at(t)` gives it as it stood, `node_history` all that it ever was.
--
-- node: Node.
-- region: Region.
-- cluster: Cluster.
-- domain: Domain.
-- sku: Accelerator type; empty for a node without accelerators.
-- health: healthy, suspect, draining, quarantined, repairing or probation.
-- devices: Device slots.
-- usable_devices: Device slots in use, 0 while the node is quarantined or repaired.
-- cpu_milli: Host processors, thousandths.
-- memory_mib: Host memory, MiB.
-- since_at: Since when it is so.
CREATE VIEW nodes AS
SELECT
    node,
    region,
    cluster,
    domain,
    sku,
    health,
    devices,
    usable_devices,
    cpu_milli,
    memory_mib,
    moment(from_ms) AS since_at
FROM node_history
WHERE to_position IS NULL AND in_pool;
