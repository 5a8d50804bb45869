-- Twelve players who were held out, from the surest to stay to the surest to leave, and what moved their scores most.
--
-- ML.EXPLAIN_PREDICT tells what spoke for the label that was predicted; here an attribution above 0 always speaks for leaving.
WITH
  explained AS (
    SELECT
      user_pseudo_id,
      churned,
      IF(predicted_churned = 1, probability, 1 - probability) AS probability,
      ARRAY(
        SELECT AS STRUCT
          one.feature,
          IF(predicted_churned = 1, one.attribution, -one.attribution) AS attribution
        FROM UNNEST(top_feature_attributions) AS one
        ORDER BY ABS(one.attribution) DESC, one.feature
      ) AS attributions
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
