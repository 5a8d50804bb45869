-- Our boosted trees on the original's rows, without its calendar features: what they are worth is the difference.
CREATE OR REPLACE MODEL churn.original_trees_no_calendar
OPTIONS (
  MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER',
  INPUT_LABEL_COLS = ['churned'],
  DATA_SPLIT_METHOD = 'NO_SPLIT',
  MAX_ITERATIONS = 20,
  MAX_TREE_DEPTH = 6,
  LEARN_RATE = 0.1,
  EARLY_STOP = FALSE
) AS
SELECT * EXCEPT (user_pseudo_id, fold, user_first_engagement, month, julianday, dayofweek)
FROM churn.original_training
