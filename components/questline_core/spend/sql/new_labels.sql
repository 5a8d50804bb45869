-- How much there is to learn that was not known before: moments (one a player and day) whose label became due, and rows
-- that came in lately.
--
-- @since     INT64  microseconds: the labels of moments up to here were due at the last training
-- @due       INT64  microseconds: they are due up to here now
-- @received  INT64  microseconds: rows that came in after this are late ones
SELECT
  COUNT(DISTINCT IF(
    event_timestamp > @since AND event_timestamp <= @due,
    CONCAT(user_pseudo_id, ' ', CAST(DIV(event_timestamp, 86400000000) AS STRING)),
    NULL
  )) AS labels,
  COUNTIF(UNIX_MICROS(received_time) > @received) AS recent_rows
FROM telemetry.events
WHERE is_test IS NOT TRUE
