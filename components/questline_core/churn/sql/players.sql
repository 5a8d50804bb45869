-- One row a player: where from, what the first 24 hours held, and whether the player came back after them.
--
-- A player's clock starts with the first user_engagement. What is known at hour 24 are features; what comes later is the
-- label, and nothing of it is a feature. `bounced` is decided at hour 24 too: nothing later than 10 minutes after the
-- start. (The original looks at the last engagement of all: players who came back a week later are then no bounce, so
-- that the choice of rows tells the label.)
--
-- churned: 1 when no engagement follows the first 24 hours, 0 when one does, and NULL while that cannot be said:
--   * the 24 hours are not over, or were over less than @grace ago, in which the player may still come back;
--   * the first event that is seen is not the player's first (left truncation): the first touch lies before the start of
--     the table, or, where there is neither a first touch nor a first_open, the player is seen within @warmup of the start.
--
-- @start, @as_of   INT64  span of the table (span.sql), microseconds since 1970-01-01 UTC
-- @grace, @warmup  INT64  microseconds
CREATE OR REPLACE TABLE churn.players AS
WITH
  events AS (
    SELECT
      user_pseudo_id,
      event_id,
      event_name,
      event_timestamp AS at_micros,
      NULLIF(user_first_touch_timestamp, 0) AS first_touch_micros,
      NULLIF(geo.country, '') AS country,
      NULLIF(device.language, '') AS language,
      NULLIF(NULLIF(device.operating_system, ''), 'NaN') AS operating_system
    FROM telemetry.events
    WHERE is_test IS NOT TRUE AND event_timestamp <= @as_of
  ),

  returning_players AS (
    SELECT
      user_pseudo_id,
      MIN(IF(event_name = 'user_engagement', at_micros, NULL)) AS first_micros,
      MAX(IF(event_name = 'user_engagement', at_micros, NULL)) AS last_micros,
      MIN(at_micros) AS first_seen_micros,
      MAX(at_micros) AS last_seen_micros,
      MIN(first_touch_micros) AS first_touch_micros,
      LOGICAL_OR(event_name = 'first_open') AS has_opened
    FROM events
    GROUP BY user_pseudo_id
  ),

  first_days AS (
    SELECT
      events.*,
      player.first_micros,
      ROW_NUMBER() OVER (PARTITION BY user_pseudo_id ORDER BY at_micros, event_id) AS position
    FROM events
    INNER JOIN returning_players AS player USING (user_pseudo_id)
    WHERE at_micros < COALESCE(player.first_micros, player.first_seen_micros) + 86400000000
  ),

  -- The first that is known, and not the last: a later one would come from the future.
  first_demographics AS (
    SELECT
      user_pseudo_id,
      ANY_VALUE(country HAVING MIN IF(country IS NULL, NULL, position)) AS country,
      ANY_VALUE(operating_system HAVING MIN IF(operating_system IS NULL, NULL, position)) AS operating_system,
      ANY_VALUE(language HAVING MIN IF(language IS NULL, NULL, position)) AS language
    FROM first_days
    GROUP BY user_pseudo_id
  ),

  first_day_behaviour AS (
    SELECT
      user_pseudo_id,
      MAX(IF(event_name = 'user_engagement', at_micros, NULL)) AS first_day_last_micros,
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
    FROM first_days
    GROUP BY user_pseudo_id
  ),

  judged AS (
    SELECT
      *,
      first_micros + 86400000000 + @grace <= @as_of AS is_due,
      IF(
        first_touch_micros IS NULL AND NOT has_opened,
        first_seen_micros < @start + @warmup,
        COALESCE(first_touch_micros, first_seen_micros) < @start
      ) AS is_truncated
    FROM returning_players
  )
SELECT
  player.user_pseudo_id,
  player.first_micros,
  player.last_micros,
  player.last_seen_micros,
  player.first_micros + 86400000000 + @grace AS due_micros,
  player.is_truncated,
  MOD(ABS(FARM_FINGERPRINT(player.user_pseudo_id)), 10) AS fold,
  demographics.country,
  demographics.operating_system,
  demographics.language,
  behaviour.cnt_user_engagement,
  behaviour.cnt_level_start_quickplay,
  behaviour.cnt_level_end_quickplay,
  behaviour.cnt_level_complete_quickplay,
  behaviour.cnt_level_reset_quickplay,
  behaviour.cnt_post_score,
  behaviour.cnt_spend_virtual_currency,
  behaviour.cnt_ad_reward,
  behaviour.cnt_challenge_a_friend,
  behaviour.cnt_completed_5_levels,
  behaviour.cnt_use_extra_steps,
  IF(behaviour.first_day_last_micros > player.first_micros + 600000000, 0, 1) AS bounced,
  CASE
    WHEN player.is_truncated OR player.is_due IS NOT TRUE THEN NULL
    WHEN player.last_micros < player.first_micros + 86400000000 THEN 1
    ELSE 0
  END AS churned
FROM judged AS player
INNER JOIN first_demographics AS demographics USING (user_pseudo_id)
INNER JOIN first_day_behaviour AS behaviour USING (user_pseudo_id)
