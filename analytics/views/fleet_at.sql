-- Macro: fleet_at(t)
-- Grain: one row per node that was in the pool by then.
-- The fleet as it stood once all records up to the time `t` were in; `t` is a TIMESTAMP (UTC) or milliseconds since 1970.
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
CREATE MACRO fleet_at(t) AS TABLE
SELECT * FROM fleet_at_position(cut_at(t));
