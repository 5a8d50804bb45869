-- What the spend model was asked lately: the newest answers whose inputs are known, tests left out.
--
-- @most  INT64  answers
SELECT event_id, user_pseudo_id, features
FROM telemetry.predictions
WHERE model = 'spend' AND is_test IS NOT TRUE AND ARRAY_LENGTH(features) > 0
QUALIFY ROW_NUMBER() OVER (PARTITION BY prediction_id ORDER BY served_time) = 1
ORDER BY served_time DESC, event_id
LIMIT @most
