-- The players to score: all who were seen since @seen_after, new ones and bounced ones too.
--
-- source says what can be said of a player:
--   first_hours  the first 24 hours are not over, so that what the models learned from is not there yet
--   bounced      they are over and were left within 10 minutes, or the player was never engaged
--   model        all others
--
-- @seen_after, @as_of  INT64  microseconds since 1970-01-01 UTC
CREATE OR REPLACE TABLE churn.to_score AS
SELECT
  user_pseudo_id,
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
  churned AS outcome,
  CASE
    WHEN COALESCE(first_micros, last_seen_micros) + 86400000000 > @as_of THEN 'first_hours'
    WHEN bounced = 1 THEN 'bounced'
    ELSE 'model'
  END AS source
FROM churn.players
WHERE last_seen_micros > @seen_after
