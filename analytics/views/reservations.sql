-- View: reservations
-- Grain: one row per reservation and stretch of the ledger in which it stayed the same.
-- Capacity that teams own, when.
--
-- reservation: Reservation, as tenant/name.
-- tenant: Tenant.
-- team: Team that owns it, as tenant/team.
-- devices: Devices.
-- skus: Accelerator types; empty for any.
-- regions: Regions; empty for any.
-- from_at: Since when, recorded time, UTC.
-- to_at: Until when; empty while it lasts.
-- from_position: Record that made it so.
-- to_position: Record that ended it; empty while it lasts.
-- from_ms: Recorded time of `from_position`, milliseconds since 1970.
-- to_ms: Recorded time of `to_position`.
CREATE VIEW reservations AS
WITH changes AS (
    SELECT reservation.tenant || '/' || reservation.name AS id, reservation AS spec, position,
        recorded_ms
    FROM fact.reservation_granted
    UNION ALL
    SELECT reservation.tenant || '/' || reservation.name, reservation, position, recorded_ms
    FROM fact.reservation_changed
    UNION ALL
    SELECT tenant || '/' || name, NULL, position, recorded_ms FROM fact.reservation_ended
),
stretches AS (
    SELECT
        id,
        spec,
        position AS from_position,
        lead(position) OVER along AS to_position,
        recorded_ms AS from_ms,
        lead(recorded_ms) OVER along AS to_ms
    FROM changes
    WINDOW along AS (PARTITION BY id ORDER BY position)
)
SELECT
    id AS reservation,
    spec.tenant AS tenant,
    spec.tenant || '/' || spec.team AS team,
    spec.devices AS devices,
    spec.skus AS skus,
    spec.regions AS regions,
    moment(from_ms) AS from_at,
    moment(to_ms) AS to_at,
    from_position,
    to_position,
    from_ms,
    to_ms
FROM stretches
WHERE spec IS NOT NULL;
