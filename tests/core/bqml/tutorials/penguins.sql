-- How heavy is a penguin? After BigQuery ML's tutorial on linear regression.
CREATE OR REPLACE MODEL `bqml_tutorial.penguins_model`
OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g']) AS
SELECT * FROM `bqml_tutorial.penguins` WHERE body_mass_g IS NOT NULL;

-- columns: mean_absolute_error, mean_squared_error, mean_squared_log_error, median_absolute_error, r2_score, explained_variance
SELECT * FROM ML.EVALUATE(MODEL `bqml_tutorial.penguins_model`,
  (SELECT * FROM `bqml_tutorial.penguins` WHERE body_mass_g IS NOT NULL));

-- columns: predicted_body_mass_g, species, island, culmen_length_mm, culmen_depth_mm, flipper_length_mm, body_mass_g, sex
SELECT * FROM ML.PREDICT(MODEL `bqml_tutorial.penguins_model`,
  (SELECT * FROM `bqml_tutorial.penguins` WHERE island = 'Biscoe'));

-- columns: predicted_body_mass_g, top_feature_attributions, baseline_prediction_value, prediction_value, approximation_error, species, island, culmen_length_mm, culmen_depth_mm, flipper_length_mm, body_mass_g, sex
SELECT * FROM ML.EXPLAIN_PREDICT(MODEL `bqml_tutorial.penguins_model`,
  (SELECT * FROM `bqml_tutorial.penguins` WHERE island = 'Biscoe'), STRUCT(3 AS top_k_features));

CREATE OR REPLACE MODEL `bqml_tutorial.penguins_model`
OPTIONS (model_type = 'linear_reg', input_label_cols = ['body_mass_g'], enable_global_explain = TRUE) AS
SELECT * FROM `bqml_tutorial.penguins` WHERE body_mass_g IS NOT NULL;

-- columns: feature, attribution
SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL `bqml_tutorial.penguins_model`);
