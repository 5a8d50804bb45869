-- How far the table tells what players did: the time of the latest event, microseconds since 1970-01-01 UTC.
-- An event that is dated more than 23 hours after it was received has a wrong clock, and would make labels due too early.
SELECT MAX(event_timestamp) AS latest_micros
FROM telemetry.events
WHERE is_test IS NOT TRUE AND event_timestamp <= UNIX_MICROS(received_time) + 82800000000
