-- View: utilisation
-- Grain: one row per tier and hour.
-- How much of the pool each tier held and used, over time; `utilisation_by(width_ms)` gives it in other buckets.
--
-- bucket_at: Start of the hour, recorded time, UTC.
-- tier: premium, standard or basic.
-- capacity_devices: Devices of all nodes in the pool, the same for each tier.
-- usable_devices: Those of them that could run work.
-- held_devices: Devices that jobs of the tier held, mean over the hour.
-- useful_devices: Devices with which jobs of the tier made progress, mean over the hour.
-- bucket_ms: Start of the hour, milliseconds since 1970.
-- span_ms: How much of the hour the history covers.
CREATE VIEW utilisation AS
SELECT * FROM utilisation_by(3600000);
