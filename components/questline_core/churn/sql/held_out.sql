-- The rows to judge on, of which training.sql takes none: the folds 8 and 9, or the players who came after a moment.
--
-- @by_time       BOOL   see training.sql
-- @judged_after  INT64  see training.sql
CREATE OR REPLACE TABLE churn.held_out AS
SELECT
  user_pseudo_id,
  fold,
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
WHERE churned IS NOT NULL AND bounced = 0 AND IF(@by_time, first_micros > @judged_after, fold >= 8)
