-- A logistic regression: what the others must beat. All rows of churn.training are learned from; what is held out, never.
CREATE OR REPLACE MODEL churn.logistic
OPTIONS (
  MODEL_TYPE = 'LOGISTIC_REG',
  INPUT_LABEL_COLS = ['churned'],
  DATA_SPLIT_METHOD = 'NO_SPLIT',
  L2_REG = 1.0,
  MAX_ITERATIONS = 50
) AS
SELECT *
FROM churn.training
