-- The dataset of all tables and models about churn.
CREATE SCHEMA IF NOT EXISTS churn
