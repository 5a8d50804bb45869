-- The original's statement: no option but type and label, so that a part of the rows decides when to stop. It learns from all but the id.
CREATE OR REPLACE MODEL churn.original_trees
OPTIONS (MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS = ['churned']) AS
SELECT * EXCEPT (user_pseudo_id, fold)
FROM churn.original_training
