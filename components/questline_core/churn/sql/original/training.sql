-- The original's rows to learn from, with its id and calendar features: each model says what it leaves out.
--
-- @by_time       BOOL   split by the time of the first engagement, and not by a hash of the player
-- @judged_after  INT64  microseconds since 1970-01-01 UTC
CREATE OR REPLACE TABLE churn.original_training AS
SELECT
  user_pseudo_id,
  MOD(ABS(FARM_FINGERPRINT(user_pseudo_id)), 10) AS fold,
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
  month,
  julianday,
  dayofweek,
  churned
FROM churn.original_players
WHERE
  bounced = 0
  AND IF(@by_time, user_first_engagement <= @judged_after, MOD(ABS(FARM_FINGERPRINT(user_pseudo_id)), 10) <= 7)
