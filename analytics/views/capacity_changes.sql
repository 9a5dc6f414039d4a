-- View: capacity_changes
-- Grain: one row per recorded time at which the capacity of the pool changed.
-- How many devices came (or went, negative) at that time; added up, they give the capacity.
--
-- at_ms: Recorded time, milliseconds since 1970.
-- capacity: Devices that came into the pool, thousandths.
-- usable: Devices that became fit for work, thousandths.
CREATE VIEW capacity_changes AS
WITH ends AS (
    SELECT from_ms AS at_ms, if(in_pool, devices, 0) AS devices, usable_devices AS usable
    FROM node_history
    UNION ALL
    SELECT to_ms, -if(in_pool, devices, 0), -usable_devices
    FROM node_history
    WHERE to_ms IS NOT NULL
)
SELECT at_ms, sum(devices) * 1000 AS capacity, sum(usable) * 1000 AS usable
FROM ends
GROUP BY at_ms
HAVING sum(devices) <> 0 OR sum(usable) <> 0;
