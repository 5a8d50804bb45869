-- Who earns more than 50,000? After BigQuery ML's tutorial on classification.
CREATE OR REPLACE MODEL `bqml_tutorial.census_model`
OPTIONS (model_type = 'LOGISTIC_REG', auto_class_weights = TRUE, data_split_method = 'NO_SPLIT',
  input_label_cols = ['income_bracket'], max_iterations = 15) AS
SELECT * EXCEPT (dataframe) FROM `bqml_tutorial.input_data` WHERE dataframe = 'training';

-- columns: precision, recall, accuracy, f1_score, log_loss, roc_auc
SELECT * FROM ML.EVALUATE(MODEL `bqml_tutorial.census_model`,
  (SELECT * FROM `bqml_tutorial.input_data` WHERE dataframe = 'evaluation'));

-- columns: predicted_income_bracket, predicted_income_bracket_probs, age, workclass, marital_status, education_num, occupation, hours_per_week, income_bracket, dataframe
SELECT * FROM ML.PREDICT(MODEL `bqml_tutorial.census_model`,
  (SELECT * FROM `bqml_tutorial.input_data` WHERE dataframe = 'prediction'));

-- columns: predicted_income_bracket, probability, top_feature_attributions, baseline_prediction_value, prediction_value, approximation_error, age, workclass, marital_status, education_num, occupation, hours_per_week, income_bracket, dataframe
SELECT * FROM ML.EXPLAIN_PREDICT(MODEL `bqml_tutorial.census_model`,
  (SELECT * FROM `bqml_tutorial.input_data` WHERE dataframe = 'evaluation'), STRUCT(3 AS top_k_features));

-- columns: expected_label, ___50K, __50K
SELECT * FROM ML.CONFUSION_MATRIX(MODEL `bqml_tutorial.census_model`,
  (SELECT * FROM `bqml_tutorial.input_data` WHERE dataframe = 'evaluation'));

-- columns: threshold, recall, false_positive_rate, true_positives, false_positives, true_negatives, false_negatives
SELECT * FROM ML.ROC_CURVE(MODEL `bqml_tutorial.census_model`,
  (SELECT * FROM `bqml_tutorial.input_data` WHERE dataframe = 'evaluation'));
