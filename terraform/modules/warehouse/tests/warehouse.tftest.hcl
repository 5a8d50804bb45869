mock_provider "google" {}

variables {
  project  = "questline-test"
  location = "EU"
  schemas  = { events = "[]", rejects = "[]", predictions = "[]" }
}

run "events_are_partitioned_by_their_day_and_clustered_by_player" {
  command = apply

  assert {
    condition     = google_bigquery_table.events.time_partitioning[0].field == "event_date"
    error_message = "The events are not partitioned by event_date."
  }

  assert {
    condition     = google_bigquery_table.events.clustering[0] == "user_pseudo_id"
    error_message = "A query for one player would read whole days."
  }

  assert {
    condition     = google_bigquery_table.events.deletion_protection && !google_bigquery_dataset.this["telemetry"].delete_contents_on_destroy
    error_message = "A destroy would take the events with it."
  }
}

run "events_live_longer_than_features_look_back" {
  command = plan

  variables {
    event_days = 30
  }

  expect_failures = [var.event_days]
}
