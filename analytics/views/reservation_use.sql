-- View: reservation_use
-- Grain: one row per team that owned a reservation and hour.
-- How much of what teams own is in use by their premium work, and how much is left to others; `reservation_use_by(width_ms)` gives it in other
-- buckets.
--
-- bucket_at: Start of the hour, recorded time, UTC.
-- team: Team, as tenant/team.
-- reserved_devices: Devices that the team owned, mean over the hour.
-- premium_devices: Devices that its premium work held, mean over the hour.
-- in_use_devices: Reserved devices in use by its premium work, mean over the hour.
-- idle_devices: Reserved devices that its premium work left to others, mean over the hour.
-- bucket_ms: Start of the hour, milliseconds since 1970.
-- span_ms: How much of the hour the history covers.
CREATE VIEW reservation_use AS
SELECT * FROM reservation_use_by(3600000);
