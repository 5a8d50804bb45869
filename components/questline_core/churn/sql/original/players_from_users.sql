-- The same table (players.sql) from the published one with a row a player, whose times are texts.
CREATE OR REPLACE TABLE churn.original_players AS
WITH
  users AS (
    SELECT *, TIMESTAMP(user_first_engagement) AS first_engagement
    FROM churn.published_users
  )
SELECT
  user_pseudo_id,
  NULLIF(country_name, '') AS country,
  NULLIF(device_os, '') AS operating_system,
  NULLIF(device_lang, '') AS language,
  cnt_user_engagement,
  cnt_level_start_quickplay,
  cnt_level_end_quickplay,
  cnt_level_complete_quickplay,
  cnt_level_reset_quickplay,
  cnt_post_score,
  cnt_spend_virtual_currency,
  cnt_ad_reward,
  cnt_challenge_a_friend,
  cnt_completed_5_levels,
  cnt_use_extra_steps,
  UNIX_MICROS(first_engagement) AS user_first_engagement,
  EXTRACT(MONTH FROM first_engagement) AS month,
  EXTRACT(DAYOFYEAR FROM first_engagement) AS julianday,
  EXTRACT(DAYOFWEEK FROM first_engagement) AS dayofweek,
  bounced,
  churned
FROM users
