mock_provider "google" {
  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/questline-test/topics/mock"
    }
  }
}

variables {
  project        = "questline-test"
  project_number = "123456789012"
  name           = "questline"
  regions        = ["europe-west4"]
  event_schema   = "syntax = \"proto3\"; message Event { string event_id = 1; }"
  publishers     = { gateway = "serviceAccount:gateway@questline-test.iam.gserviceaccount.com" }
  readers        = { stream = "serviceAccount:stream@questline-test.iam.gserviceaccount.com" }
}

run "a_message_that_nobody_reads_waits" {
  command = apply

  assert {
    condition     = google_pubsub_subscription.stream.expiration_policy[0].ttl == "" && google_pubsub_subscription.dead_letters.expiration_policy[0].ttl == ""
    error_message = "A subscription that is idle would be deleted."
  }
}

run "dead_letters_have_both_grants_of_the_service_agent" {
  command = apply

  assert {
    condition     = google_pubsub_topic_iam_member.agent_publishes_dead_letters.role == "roles/pubsub.publisher"
    error_message = "Pub/Sub's agent cannot publish dead letters."
  }

  assert {
    condition     = google_pubsub_subscription_iam_member.agent_acknowledges.role == "roles/pubsub.subscriber"
    error_message = "Pub/Sub's agent cannot acknowledge what it gave up, so it would come again for ever."
  }

  assert {
    condition     = google_pubsub_subscription.stream.dead_letter_policy[0].max_delivery_attempts == 5
    error_message = "A message becomes a dead letter after five attempts, as in the spool."
  }
}
