-- View: history
-- Grain: one row for the whole archive.
-- How much history there is.
--
-- records: Records in the archive; also the position that would come next.
-- first_at: Recorded time of the first record.
-- last_at: Recorded time of the last record.
-- first_ms: The same as milliseconds since 1970.
-- last_ms: The same as milliseconds since 1970.
CREATE VIEW history AS
SELECT
    count(*) AS records,
    moment(min(recorded_ms)) AS first_at,
    moment(max(recorded_ms)) AS last_at,
    min(recorded_ms) AS first_ms,
    max(recorded_ms) AS last_ms
FROM records;
