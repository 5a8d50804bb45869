-- How many spends count for nothing because their parameter "value" is no number: "12.50" is a text.
SELECT COUNT(*) AS spends
FROM telemetry.events
WHERE
  event_name = 'spend_virtual_currency'
  AND is_test IS NOT TRUE
  AND NOT EXISTS (
    SELECT 1
    FROM UNNEST(event_params) AS p
    WHERE
      p.key = 'value'
      AND COALESCE(CAST(p.value.int_value AS FLOAT64), p.value.double_value, p.value.float_value) IS NOT NULL
  )
