-- Whether there are both, players who left and players who stayed, among the rows of churn.held_out.
SELECT COUNT(DISTINCT churned) AS kinds
FROM churn.held_out
