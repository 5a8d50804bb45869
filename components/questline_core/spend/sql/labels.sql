-- The labels that are not zero: each event after which its player spends, and how much virtual currency the player spends
-- later than the event and not later than the horizon after it.
--
-- @horizon  INT64  microseconds
WITH
  amounts AS (
    SELECT
      user_pseudo_id AS player,
      event_id,
      event_timestamp AS at_micros,
      (
        SELECT MAX(COALESCE(CAST(p.value.int_value AS FLOAT64), p.value.double_value, p.value.float_value))
        FROM UNNEST(event_params) AS p
        WHERE p.key = 'value' AND event_name = 'spend_virtual_currency'
      ) AS amount
    FROM telemetry.events
    WHERE is_test IS NOT TRUE AND event_timestamp <= UNIX_MICROS(received_time) + 82800000000
  ),

  -- The upper bound keeps NaN out: it is the largest number to one engine, none to the other.
  ahead AS (
    SELECT
      event_id,
      SUM(IF(amount > 0 AND amount < 1e12, amount, 0)) OVER (
        PARTITION BY player ORDER BY at_micros RANGE BETWEEN 1 FOLLOWING AND @horizon FOLLOWING
      ) AS spend
    FROM amounts
  )
SELECT event_id, spend
FROM ahead
WHERE spend > 0
