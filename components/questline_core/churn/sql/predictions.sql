-- What a model says of the rows that were held out. The probability is chosen by its label and not by its place.
SELECT
  user_pseudo_id,
  fold,
  churned,
  (SELECT one.prob FROM UNNEST(predicted_churned_probs) AS one WHERE one.label = 1) AS probability
FROM ML.PREDICT(MODEL churn.champion, TABLE churn.held_out)
ORDER BY user_pseudo_id
