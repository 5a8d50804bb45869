-- Boosted trees: few and shallow enough for some thousand players. All rows of churn.training are learned from; what is held out, never.
CREATE OR REPLACE MODEL churn.trees
OPTIONS (
  MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER',
  INPUT_LABEL_COLS = ['churned'],
  DATA_SPLIT_METHOD = 'NO_SPLIT',
  MAX_ITERATIONS = 20,
  MAX_TREE_DEPTH = 6,
  LEARN_RATE = 0.1,
  EARLY_STOP = FALSE
) AS
SELECT *
FROM churn.training
