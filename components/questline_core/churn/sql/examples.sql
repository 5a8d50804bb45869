-- A player of each kind among those who were scored: one whose first 24 hours are not over, the surest to stay, and the
-- surest to leave, with what the models see of them.
WITH
  scored AS (
    SELECT
      player.*,
      score.probability_churned,
      IF(score.source = 'first_hours', 'new', 'known') AS scored_as
    FROM churn.to_score AS player
    INNER JOIN churn.scores AS score USING (user_pseudo_id)
    WHERE score.source != 'bounced'
  ),

  ranked AS (
    SELECT
      *,
      ROW_NUMBER() OVER (PARTITION BY scored_as ORDER BY probability_churned, outcome, user_pseudo_id) AS from_stay,
      ROW_NUMBER() OVER (PARTITION BY scored_as ORDER BY probability_churned DESC, outcome DESC, user_pseudo_id) AS from_leave
    FROM scored
  )
SELECT
  * EXCEPT (probability_churned, scored_as, from_stay, from_leave),
  CASE
    WHEN scored_as = 'new' THEN 'new'
    WHEN from_stay = 1 THEN 'loyal'
    ELSE 'leaving'
  END AS kind
FROM ranked
WHERE from_stay = 1 OR (scored_as = 'known' AND from_leave = 1)
ORDER BY scored_as = 'new' DESC, probability_churned, from_stay
