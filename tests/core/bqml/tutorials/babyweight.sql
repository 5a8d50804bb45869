-- How heavy is a newborn? After Google's babyweight course: a linear model, then a network with TRANSFORM.
CREATE OR REPLACE MODEL babyweight.baseline_model
OPTIONS (MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['weight_pounds'], DATA_SPLIT_METHOD = 'NO_SPLIT') AS
SELECT weight_pounds, is_male, mother_age, plurality, gestation_weeks FROM babyweight.babyweight_data_train;

-- columns: mean_absolute_error, mean_squared_error, mean_squared_log_error, median_absolute_error, r2_score, explained_variance
SELECT * FROM ML.EVALUATE(MODEL babyweight.baseline_model, (
  SELECT weight_pounds, is_male, mother_age, plurality, gestation_weeks FROM babyweight.babyweight_data_eval));

-- columns: rmse
SELECT SQRT(mean_squared_error) AS rmse FROM ML.EVALUATE(MODEL babyweight.baseline_model, (
  SELECT weight_pounds, is_male, mother_age, plurality, gestation_weeks FROM babyweight.babyweight_data_eval));

CREATE OR REPLACE MODEL babyweight.final_model
TRANSFORM (
  weight_pounds, is_male, mother_age, plurality, gestation_weeks,
  ML.FEATURE_CROSS(STRUCT(
    is_male,
    ML.BUCKETIZE(mother_age, [15, 20, 25, 30, 35, 40, 45]) AS bucketed_mothers_age,
    plurality,
    ML.BUCKETIZE(gestation_weeks, [17, 25, 33, 37, 39, 41, 47]) AS bucketed_gestation_weeks)) AS crossed)
OPTIONS (MODEL_TYPE = 'LINEAR_REG', INPUT_LABEL_COLS = ['weight_pounds'], L2_REG = 0.1, DATA_SPLIT_METHOD = 'NO_SPLIT') AS
SELECT * FROM babyweight.babyweight_data_train;

-- columns: predicted_weight_pounds, is_male, mother_age, plurality, gestation_weeks
SELECT * FROM ML.PREDICT(MODEL babyweight.final_model, (
  SELECT 'true' AS is_male, 32 AS mother_age, 'Twins(2)' AS plurality, 30 AS gestation_weeks));

CREATE OR REPLACE MODEL babyweight.network
OPTIONS (MODEL_TYPE = 'DNN_REGRESSOR', HIDDEN_UNITS = [16, 8], BATCH_SIZE = 100, INPUT_LABEL_COLS = ['weight_pounds'],
  DATA_SPLIT_METHOD = 'NO_SPLIT') AS
SELECT weight_pounds, is_male, mother_age, plurality, gestation_weeks FROM babyweight.babyweight_data_train;

-- columns: rmse
SELECT SQRT(mean_squared_error) AS rmse FROM ML.EVALUATE(MODEL babyweight.network, (
  SELECT weight_pounds, is_male, mother_age, plurality, gestation_weeks FROM babyweight.babyweight_data_eval));
