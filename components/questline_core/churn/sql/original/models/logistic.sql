-- The original's statement: no option but type and label, so that a part of the rows decides when to stop. It learns from the player's id too.
CREATE OR REPLACE MODEL churn.original_logistic
OPTIONS (MODEL_TYPE = 'LOGISTIC_REG', INPUT_LABEL_COLS = ['churned']) AS
SELECT * EXCEPT (fold)
FROM churn.original_training
