-- A score for each player of to_score.sql, with where it is from and the features that moved it most.
--
-- @first_hours, @bounced  FLOAT64  the priors (priors.sql)
-- @model                  STRING   how the model is named as a source
SELECT
  user_pseudo_id,
  CASE source
    WHEN 'first_hours' THEN @first_hours
    WHEN 'bounced' THEN @bounced
    ELSE IF(predicted_churned = 1, probability, 1 - probability)
  END AS probability,
  IF(source = 'model', @model, source) AS source,
  outcome AS churned,
  IF(
    source = 'model',
    ARRAY(SELECT one.feature FROM UNNEST(top_feature_attributions) AS one ORDER BY ABS(one.attribution) DESC, one.feature),
    []
  ) AS reasons
FROM ML.EXPLAIN_PREDICT(MODEL churn.champion, TABLE churn.to_score, STRUCT(3 AS top_k_features))
