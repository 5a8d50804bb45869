-- The sessions of players, folded from all their events: `events/sessions.py` says what a session is, and folds the same
-- ones from a stream.
--
-- @everyone  BOOL           all players; otherwise
-- @players   ARRAY<STRING>  these
WITH
  taken AS (
    SELECT
      title,
      user_pseudo_id,
      event_id,
      event_timestamp AS at_micros,
      UNIX_MICROS(received_time) AS came_micros,
      (
        SELECT MAX(p.value.int_value)
        FROM UNNEST(event_params) AS p
        WHERE p.key = 'engagement_time_msec' AND p.value.int_value BETWEEN 0 AND 86400000
      ) AS engaged_ms,
      platform,
      geo.country AS country,
      app_info.version AS app_version,
      is_test
    FROM telemetry.events
    WHERE @everyone OR user_pseudo_id IN UNNEST(@players)
  ),

  arrivals AS (
    SELECT
      *,
      came_micros - LAG(came_micros) OVER (
        PARTITION BY title, user_pseudo_id ORDER BY came_micros
      ) >= 1800000000 AS after_silence
    FROM taken
  ),

  bursts AS (
    SELECT
      * EXCEPT (after_silence),
      COUNTIF(after_silence) OVER (PARTITION BY title, user_pseudo_id ORDER BY came_micros) AS burst
    FROM arrivals
  ),

  moments AS (
    SELECT
      *,
      at_micros - LAG(at_micros) OVER (
        PARTITION BY title, user_pseudo_id, burst ORDER BY at_micros
      ) >= 1800000000 AS after_silence
    FROM bursts
  ),

  sittings AS (
    SELECT
      * EXCEPT (after_silence),
      COUNTIF(after_silence) OVER (PARTITION BY title, user_pseudo_id, burst ORDER BY at_micros) AS sitting
    FROM moments
  ),

  folded AS (
    SELECT
      title,
      user_pseudo_id,
      MIN(at_micros) AS started_micros,
      MAX(at_micros) AS ended_micros,
      MIN(came_micros) AS came_micros,
      COUNT(*) AS events,
      COALESCE(SUM(engaged_ms), 0) AS engagement_ms,
      ARRAY_AGG(
        STRUCT(platform, country, app_version, is_test) ORDER BY at_micros, event_id LIMIT 1
      )[OFFSET(0)] AS first
    FROM sittings
    GROUP BY title, user_pseudo_id, burst, sitting
  )
SELECT
  TO_HEX(MD5(CONCAT(
    title, '\n', user_pseudo_id, '\n', CAST(started_micros AS STRING), '\n', CAST(came_micros AS STRING)
  ))) AS session_key,
  title,
  user_pseudo_id,
  DATE(TIMESTAMP_MICROS(started_micros)) AS session_date,
  TIMESTAMP_MICROS(started_micros) AS started,
  TIMESTAMP_MICROS(ended_micros) AS ended,
  events,
  engagement_ms,
  first.platform AS platform,
  first.country AS country,
  first.app_version AS app_version,
  first.is_test AS is_test
FROM folded
