-- View: events
-- Grain: one row per record of the ledger.
-- Everything that happened, in order. The other views are derived from it; start here for an audit.
-- `fact.<event>` holds the same record with typed columns, one view per event type.
--
-- position: How many records come before this one; the same on every carrier.
-- recorded_at: The engine's time, UTC; never decreasing.
-- recorded_ms: The same as milliseconds since 1970.
-- family: Group of the event: fleet, tenant, job, serving or decision.
-- kind: What happened, without family and version: started, launch_ordered.
-- ce_type: Full name of the event type, with its version.
-- cause: Position of the record that started this one.
-- job: Job that it names, as tenant/name@generation.
-- attempt: Attempt that it names.
-- node: Node that it names.
-- data: The whole event as JSON; empty for a type that this build does not know.
-- ce_id: Id that the publisher gave; empty for what the engine says itself.
-- ce_source: Publisher.
-- ce_subject: Subject that the publisher gave.
-- ce_time: What the publisher says about time; data, never the engine's time.
-- correlation_id: Correlation id that the publisher gave.
-- causation_id: Causation id that the publisher gave.
CREATE VIEW events AS
SELECT
    position,
    moment(recorded_ms) AS recorded_at,
    recorded_ms,
    split_part(ce_type, '.', 2) AS family,
    array_to_string(list_slice(string_split(ce_type, '.'), 3, -2), '.') AS kind,
    ce_type,
    cause,
    job,
    attempt,
    node,
    data,
    ce_id,
    ce_source,
    ce_subject,
    ce_time,
    correlation_id,
    causation_id
FROM records;
