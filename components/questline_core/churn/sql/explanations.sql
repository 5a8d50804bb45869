-- Twelve players who were held out, from the surest to stay to the surest to leave, and what moved their scores most.
WITH
  explained AS (
    SELECT
      user_pseudo_id,
      churned,
      IF(predicted_churned = 1, probability, 1 - probability) AS probability,
      top_feature_attributions AS attributions
    FROM ML.EXPLAIN_PREDICT(MODEL churn.champion, TABLE churn.held_out, STRUCT(3 AS top_k_features))
  ),

  ranked AS (
    SELECT
      *,
      NTILE(12) OVER (ORDER BY probability, user_pseudo_id) AS part
    FROM explained
  ),

  chosen AS (
    SELECT
      *,
      ROW_NUMBER() OVER (PARTITION BY part ORDER BY probability, user_pseudo_id) AS place
    FROM ranked
  )
SELECT
  user_pseudo_id,
  churned,
  probability,
  attributions
FROM chosen
WHERE place = 1
ORDER BY part
