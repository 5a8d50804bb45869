-- A prior for each player of to_score.sql, for as long as no model deserves to score.
--
-- @first_hours, @bounced  FLOAT64  the priors (priors.sql)
SELECT
  user_pseudo_id,
  IF(source = 'bounced', @bounced, @first_hours) AS probability,
  IF(source = 'model', 'prior', source) AS source,
  outcome AS churned,
  CAST([] AS ARRAY<STRING>) AS reasons
FROM churn.to_score
