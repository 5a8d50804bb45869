-- What is known of a player of whom no model can tell: the share that left, of all players whose label is known and of
-- those of them who bounced. One player who left and one who stayed are added, so that few players give no certainty.
SELECT
  (COUNTIF(churned = 1) + 1) / (COUNT(churned) + 2) AS first_hours,
  (COUNTIF(churned = 1 AND bounced = 1) + 1) / (COUNTIF(churned IS NOT NULL AND bounced = 1) + 2) AS bounced
FROM churn.players
WHERE first_micros IS NOT NULL
