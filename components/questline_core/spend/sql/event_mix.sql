-- How often each kind of event came before and after a moment: what the inputs of the model are made of.
--
-- @since  INT64  microseconds
SELECT
  event_name,
  COUNTIF(event_timestamp <= @since) AS events_before,
  COUNTIF(event_timestamp > @since) AS events_after
FROM telemetry.events
WHERE is_test IS NOT TRUE
GROUP BY event_name
