-- The running state of players at moments: what all their events before the moment add up to.
--
-- A moment is "now" for every player (@sampled FALSE: the snapshot that the gateway reads) or one event a player and
-- day, chosen by a hash (@sampled TRUE: to learn from). Both are added up by the same lines, so what is learned from is
-- what is served. One event a day: the gateway may be asked at any event, so no kind of event is preferred; and a player
-- who plays all day must not outweigh a hundred who drop in.
--
-- Bots that say so (user property bot = "true") are no players, and test traffic never counts. Nor does an event that is
-- dated more than 23 hours after it came: `clock_ahead`, asked by the times because older rows lack that column.
--
-- @everyone  BOOL           all players; otherwise
-- @players   ARRAY<STRING>  these
-- @sampled   BOOL           see above
-- @until     INT64          no sampled moment is later; microseconds since 1970-01-01 UTC
-- @chosen    ARRAY<STRING>  event ids: the sampled moments are these and none is drawn, unless it is empty
WITH
  taken AS (
    SELECT
      user_pseudo_id AS player,
      event_id,
      event_timestamp AS at_micros,
      event_name AS name,
      user_first_touch_timestamp AS first_touch_micros,
      NULLIF(geo.country, '') AS country,
      NULLIF(device.language, '') AS language,
      NULLIF(NULLIF(device.operating_system, ''), 'NaN') AS operating_system,
      device.time_zone_offset_seconds AS time_zone_offset_seconds,
      -- The number that an event of this name is about. Exports put one key now into this slot, now into that.
      (
        SELECT MAX(COALESCE(CAST(p.value.int_value AS FLOAT64), p.value.double_value, p.value.float_value))
        FROM UNNEST(event_params) AS p
        WHERE
          p.key = CASE event_name
            WHEN 'spend_virtual_currency' THEN 'value'
            WHEN 'user_engagement' THEN 'engagement_time_msec'
            ELSE 'level'
          END
      ) AS number
    FROM telemetry.events
    WHERE
      is_test IS NOT TRUE
      AND event_timestamp <= UNIX_MICROS(received_time) + 82800000000
      AND (@everyone OR user_pseudo_id IN UNNEST(@players))
      AND NOT EXISTS (
        SELECT 1 FROM UNNEST(user_properties) AS p WHERE p.key = 'bot' AND p.value.string_value = 'true'
      )
  ),

  -- What one event counts for. Upper bounds keep NaN out: it is the largest number to one engine and none to the other.
  events AS (
    SELECT
      * EXCEPT (number),
      DIV(at_micros, 86400000000) AS day,
      ROW_NUMBER() OVER in_order AS position,
      COUNTIF(STARTS_WITH(name, 'level_fail')) OVER in_order AS fails_so_far,
      IF(name = 'user_engagement' AND number > 0 AND number <= 86400000, number, 0) AS engaged_ms,
      IF(STARTS_WITH(name, 'level_') AND number >= 0 AND number < 1e9, number, NULL) AS level,
      IF(name = 'spend_virtual_currency' AND number > 0 AND number < 1e12, number, NULL) AS spent
    FROM taken
    WINDOW in_order AS (PARTITION BY player ORDER BY at_micros, event_id)
  ),

  drawn AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY player, day ORDER BY TO_HEX(MD5(event_id)), event_id) AS draw
    FROM events
    WHERE @sampled AND at_micros <= @until
  ),

  moments AS (
    SELECT
      player,
      position,
      event_id,
      name,
      at_micros,
      first_touch_micros,
      country,
      language,
      operating_system,
      time_zone_offset_seconds
    FROM drawn
    WHERE IF(ARRAY_LENGTH(CAST(@chosen AS ARRAY<STRING>)) = 0, draw = 1, event_id IN UNNEST(@chosen))
    UNION ALL
    SELECT player, MAX(position) + 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM events
    WHERE NOT @sampled
    GROUP BY player
  ),

  states AS (
    SELECT
      moment.player,
      moment.position,
      COUNT(*) AS events,
      COUNTIF(event.name = 'session_start') AS sessions,
      COUNT(DISTINCT event.day) AS active_days,
      SUM(event.engaged_ms) AS engagement_ms,
      MAX(event.level) AS level_max,
      COUNTIF(STARTS_WITH(event.name, 'level_complete')) AS levels_completed,
      MAX(event.fails_so_far) AS levels_failed,
      COUNTIF(STARTS_WITH(event.name, 'level_retry') OR STARTS_WITH(event.name, 'level_reset')) AS levels_retried,
      -- What happened since something is the difference of two running counts.
      MAX(event.fails_so_far) - COALESCE(
        MAX(IF(STARTS_WITH(event.name, 'level_complete'), event.fails_so_far, NULL)), 0
      ) AS fails_in_row,
      COUNT(*) - COALESCE(MAX(IF(event.name = 'session_start', event.position, NULL)), 0) AS session_events,
      MAX(event.fails_so_far) - COALESCE(
        MAX(IF(event.name = 'session_start', event.fails_so_far, NULL)), 0
      ) AS session_fails,
      COUNTIF(event.name = 'no_more_extra_steps') AS out_of_steps,
      COUNTIF(event.name = 'use_extra_steps') AS extra_steps_used,
      COUNTIF(event.name = 'ad_reward') AS ad_rewards,
      COUNT(event.spent) AS spends,
      COALESCE(SUM(event.spent), 0) AS spend_sum,
      ANY_VALUE(event.spent HAVING MAX IF(event.spent IS NULL, NULL, event.position)) AS last_spend_value,
      MIN(event.first_touch_micros) AS first_touch_micros,
      MIN(event.at_micros) AS first_event_micros,
      MAX(event.at_micros) AS last_event_micros,
      MAX(IF(event.name = 'session_start', event.at_micros, NULL)) AS last_session_micros,
      MAX(IF(event.spent IS NULL, NULL, event.at_micros)) AS last_spend_micros,
      ANY_VALUE(event.country HAVING MAX IF(event.country IS NULL, NULL, event.position)) AS country,
      ANY_VALUE(event.language HAVING MAX IF(event.language IS NULL, NULL, event.position)) AS language,
      ANY_VALUE(
        event.operating_system HAVING MAX IF(event.operating_system IS NULL, NULL, event.position)
      ) AS operating_system,
      ANY_VALUE(
        event.time_zone_offset_seconds HAVING MAX IF(event.time_zone_offset_seconds IS NULL, NULL, event.position)
      ) AS time_zone_offset_seconds
    FROM moments AS moment
    INNER JOIN events AS event ON event.player = moment.player AND event.position < moment.position
    GROUP BY moment.player, moment.position
  ),

  -- What happened lately, by slots of ten minutes: any window that ends at a later moment is a sum of them.
  slots AS (
    SELECT
      moment.player,
      moment.position,
      DIV(event.at_micros, 600000000) AS slot,
      COUNT(*) AS events,
      COUNTIF(STARTS_WITH(event.name, 'level_fail')) AS fails,
      COUNT(event.spent) AS spends,
      COALESCE(SUM(event.spent), 0) AS spend_sum
    FROM moments AS moment
    INNER JOIN events AS event ON event.player = moment.player AND event.position < moment.position
    GROUP BY moment.player, moment.position, slot
    QUALIFY slot > MAX(slot) OVER (PARTITION BY moment.player, moment.position) - 1008
  ),

  lately AS (
    SELECT player, position, ARRAY_AGG(STRUCT(slot, events, fails, spends, spend_sum) ORDER BY slot) AS recent
    FROM slots
    GROUP BY player, position
  )
SELECT
  states.* EXCEPT (player, position),
  lately.recent,
  moments.player,
  moments.event_id AS moment_event_id,
  moments.name AS moment_event_name,
  moments.at_micros AS moment_at_micros,
  moments.first_touch_micros AS moment_first_touch_micros,
  moments.country AS moment_country,
  moments.language AS moment_language,
  moments.operating_system AS moment_operating_system,
  moments.time_zone_offset_seconds AS moment_time_zone_offset_seconds
FROM moments
LEFT JOIN states ON states.player = moments.player AND states.position = moments.position
LEFT JOIN lately ON lately.player = moments.player AND lately.position = moments.position
