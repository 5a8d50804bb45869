-- What validate looks at: how full the features are, and how many labelled players there are in each part of the split.
SELECT
  COUNTIF(fold <= 7) AS training,
  COUNTIF(fold = 8) AS for_threshold,
  COUNTIF(fold = 9) AS for_judging,
  COUNTIF(country IS NULL) / COUNT(*) AS country_missing,
  COUNTIF(operating_system IS NULL) / COUNT(*) AS operating_system_missing,
  COUNTIF(cnt_user_engagement = 0) / COUNT(*) AS never_engaged
FROM churn.players
WHERE churned IS NOT NULL AND bounced = 0
