-- The scores as CSV files in the columns of the published export. EXPORT DATA takes no parameters: the place is put in as text.
EXPORT DATA
OPTIONS (URI = 'gs://questline-churn/scores-*.csv', FORMAT = 'CSV', OVERWRITE = TRUE, HEADER = TRUE) AS
SELECT
  user_pseudo_id,
  churned,
  predicted_churned,
  probability_churned
FROM churn.scores
ORDER BY user_pseudo_id
