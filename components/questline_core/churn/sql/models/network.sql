-- A small neural network. All rows of churn.training are learned from; what is held out, never.
CREATE OR REPLACE MODEL churn.network
OPTIONS (
  MODEL_TYPE = 'DNN_CLASSIFIER',
  INPUT_LABEL_COLS = ['churned'],
  DATA_SPLIT_METHOD = 'NO_SPLIT',
  HIDDEN_UNITS = [32, 16],
  DROPOUT = 0.1,
  MAX_ITERATIONS = 20,
  BATCH_SIZE = 64
) AS
SELECT *
FROM churn.training
