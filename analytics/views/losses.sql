-- Table: losses
-- Grain: one row per record that made a node, or some of its device slots, lose what ran there.
-- A node lost to quarantine, repair or removal, a device gone, a node declared smaller.
--
-- position: The record.
-- recorded_ms: Its recorded time, milliseconds since 1970.
-- node: Node.
-- kind: node (all that runs there is lost), slots (only what holds one of them), respecified (only claims are given up).
-- first_slot: First device slot that is lost.
-- last_slot: Last device slot that is lost.
CREATE TABLE losses AS
WITH bound AS (SELECT 2147483647::BIGINT AS top)
SELECT position, recorded_ms, name AS node, 'node' AS kind, 0 AS first_slot, top AS last_slot
FROM fact.node_removed, bound
UNION ALL
SELECT position, recorded_ms, node, 'node', 0, top
FROM fact.node_health_reported, bound
WHERE health_name(health) IN ('quarantined', 'repairing')
UNION ALL
SELECT position, recorded_ms, node, 'slots', slot, slot FROM fact.device_removed
UNION ALL
SELECT position, recorded_ms, node, 'slots', slot, slot FROM fact.device_changed WHERE NOT usable
UNION ALL
SELECT position, recorded_ms, node.name, 'slots', node.devices, top FROM fact.node_changed, bound
UNION ALL
SELECT position, recorded_ms, node.name, 'respecified', 0, top FROM fact.node_changed, bound;
