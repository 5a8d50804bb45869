-- The rows to learn from: label and features, no id and no calendar. Bounced players are not among them.
--
-- @by_time       BOOL   learn from the past of a moment, and not from a share of the players drawn by a hash
-- @judged_after  INT64  with @by_time: learn from players whose label was known at this time; microseconds since 1970
CREATE OR REPLACE TABLE churn.training AS
SELECT
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
  churned
FROM churn.players
WHERE churned IS NOT NULL AND bounced = 0 AND IF(@by_time, due_micros <= @judged_after, fold <= 7)
