-- How many players there are, and what is known of them.
SELECT
  COUNT(*) AS players,
  COUNT(churned) AS labelled,
  COUNTIF(churned IS NOT NULL AND bounced = 1) AS bounced,
  COUNTIF(churned = 1 AND bounced = 0) AS churned
FROM churn.players
