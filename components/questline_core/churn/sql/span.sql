-- From when to when the table tells what players did, microseconds since 1970-01-01 UTC.
--
-- The start is the time before which only a thousandth of the events lies, so that a few wrong clocks do not move it. An
-- event that is dated more than 23 hours after it was received has a wrong clock, and would make labels due too early.
SELECT
  APPROX_QUANTILES(event_timestamp, 1000)[OFFSET(1)] AS start_micros,
  MAX(event_timestamp) AS latest_micros
FROM telemetry.events
WHERE is_test IS NOT TRUE AND event_timestamp <= UNIX_MICROS(received_time) + 82800000000
