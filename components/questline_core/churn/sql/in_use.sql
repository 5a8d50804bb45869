-- The model that scores the players.
SELECT
  kind,
  version,
  threshold
FROM churn.in_use
