-- The published set-up, to compare with: what the original's three views and its training table say of each player.
--
-- Kept as it was: the label of every player, due or not; the latest demographics, which may come from after the first
-- day; events at the last moment of the first day, which may be the return that the label is about; a bounce by the last
-- engagement of all; the time of the first engagement and its month, day of the year and day of the week as features.
CREATE OR REPLACE TABLE churn.original_players AS
WITH
  returning_users AS (
    SELECT
      user_pseudo_id,
      MIN(event_timestamp) AS user_first_engagement,
      MAX(event_timestamp) AS user_last_engagement
    FROM telemetry.events
    WHERE event_name = 'user_engagement' AND is_test IS NOT TRUE
    GROUP BY user_pseudo_id
  ),

  user_demographics AS (
    SELECT
      user_pseudo_id,
      geo.country AS country,
      device.operating_system AS operating_system,
      device.language AS language
    FROM telemetry.events
    WHERE event_name = 'user_engagement' AND is_test IS NOT TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY user_pseudo_id ORDER BY event_timestamp DESC, event_id DESC) = 1
  ),

  user_aggregate_behavior AS (
    SELECT
      user_pseudo_id,
      COUNTIF(event_name = 'user_engagement') AS cnt_user_engagement,
      COUNTIF(event_name = 'level_start_quickplay') AS cnt_level_start_quickplay,
      COUNTIF(event_name = 'level_end_quickplay') AS cnt_level_end_quickplay,
      COUNTIF(event_name = 'level_complete_quickplay') AS cnt_level_complete_quickplay,
      COUNTIF(event_name = 'level_reset_quickplay') AS cnt_level_reset_quickplay,
      COUNTIF(event_name = 'post_score') AS cnt_post_score,
      COUNTIF(event_name = 'spend_virtual_currency') AS cnt_spend_virtual_currency,
      COUNTIF(event_name = 'ad_reward') AS cnt_ad_reward,
      COUNTIF(event_name = 'challenge_a_friend') AS cnt_challenge_a_friend,
      COUNTIF(event_name = 'completed_5_levels') AS cnt_completed_5_levels,
      COUNTIF(event_name = 'use_extra_steps') AS cnt_use_extra_steps
    FROM telemetry.events
    INNER JOIN returning_users USING (user_pseudo_id)
    WHERE event_timestamp <= user_first_engagement + 86400000000 AND is_test IS NOT TRUE
    GROUP BY user_pseudo_id
  )
SELECT
  returning_users.user_pseudo_id,
  country,
  operating_system,
  language,
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
  user_first_engagement,
  EXTRACT(MONTH FROM TIMESTAMP_MICROS(user_first_engagement)) AS month,
  EXTRACT(DAYOFYEAR FROM TIMESTAMP_MICROS(user_first_engagement)) AS julianday,
  EXTRACT(DAYOFWEEK FROM TIMESTAMP_MICROS(user_first_engagement)) AS dayofweek,
  IF(user_last_engagement <= user_first_engagement + 600000000, 1, 0) AS bounced,
  IF(user_last_engagement < user_first_engagement + 86400000000, 1, 0) AS churned
FROM returning_users
INNER JOIN user_demographics USING (user_pseudo_id)
INNER JOIN user_aggregate_behavior USING (user_pseudo_id)
