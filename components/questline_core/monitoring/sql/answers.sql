-- What a model answered, once an event, where the event itself is stored and is no test.
--
-- draw numbers the answers of a player on a day as the examples are drawn (features/player_state.sql): a player who is
-- asked about all day must not outweigh a hundred who drop in, and the answers to the drawn ones are like the examples.
--
-- @model  STRING  spend or churn
-- @since  INT64   events after this, microseconds since 1970-01-01 UTC
WITH
  once AS (
    SELECT event_id, revision, source, value, lower_bound, upper_bound, probability
    FROM telemetry.predictions
    WHERE model = @model AND is_test IS NOT TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY prediction_id ORDER BY served_time) = 1
  ),

  asked_at AS (
    SELECT event_id, user_pseudo_id, event_name, event_timestamp
    FROM telemetry.events
    WHERE
      is_test IS NOT TRUE
      AND event_timestamp > @since
      AND event_timestamp <= UNIX_MICROS(received_time) + 82800000000  -- else its clock is wrong
  )
SELECT
  event_id,
  event_name,
  user_pseudo_id,
  event_timestamp AS at_micros,
  revision,
  source,
  value,
  lower_bound,
  upper_bound,
  probability,
  ROW_NUMBER() OVER (
    PARTITION BY user_pseudo_id, DIV(event_timestamp, 86400000000) ORDER BY TO_HEX(MD5(event_id)), event_id
  ) AS draw
FROM once
INNER JOIN asked_at USING (event_id)
ORDER BY at_micros, event_id
