-- How far each feature moves the answers of a model on the rows that were held out: the mean size of its attributions.
SELECT
  one.feature,
  AVG(ABS(one.attribution)) AS importance
FROM
  ML.EXPLAIN_PREDICT(MODEL churn.champion, TABLE churn.held_out, STRUCT(14 AS top_k_features)),
  UNNEST(top_feature_attributions) AS one
GROUP BY one.feature
ORDER BY importance DESC, one.feature
