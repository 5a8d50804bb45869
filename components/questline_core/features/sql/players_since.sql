-- Who has rows that came since a moment, and when the newest of each came.
--
-- An event may be days older than its arrival; one that is more than four days older waits for the player's next one.
--
-- @since  INT64  microseconds since 1970-01-01 UTC
SELECT
  user_pseudo_id AS player,
  UNIX_MICROS(MAX(received_time)) AS newest_micros
FROM telemetry.events
WHERE
  received_time >= TIMESTAMP_MICROS(@since)
  AND event_date >= DATE_SUB(DATE(TIMESTAMP_MICROS(@since)), INTERVAL 4 DAY)
GROUP BY player
