-- Whether there are both, players who left and players who stayed, among the rows of churn.training.
SELECT COUNT(DISTINCT churned) AS kinds
FROM churn.training
