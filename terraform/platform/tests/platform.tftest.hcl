# Run with: terraform -chdir=platform init && terraform -chdir=platform test
# Nothing is made: the provider is a mock. Mocked ids and e-mail addresses get the shape that the real ones have.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }

  mock_data "google_kms_crypto_key_version" {
    defaults = {
      id = "projects/questline-test/locations/global/keyRings/mock/cryptoKeys/mock/cryptoKeyVersions/1"
      public_key = [{
        algorithm = "EC_SIGN_P256_SHA256"
        pem       = "mock"
      }]
    }
  }

  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/questline-test/serviceAccounts/mock@questline-test.iam.gserviceaccount.com"
      email  = "mock@questline-test.iam.gserviceaccount.com"
      member = "serviceAccount:mock@questline-test.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_container_cluster" {
    defaults = {
      id = "projects/questline-test/locations/europe-west4/clusters/mock"
    }
  }

  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/questline-test/topics/mock"
    }
  }

  mock_resource "google_pubsub_subscription" {
    defaults = {
      id = "projects/questline-test/subscriptions/mock"
    }
  }

  mock_resource "google_kms_key_ring" {
    defaults = {
      id = "projects/questline-test/locations/global/keyRings/mock"
    }
  }

  mock_resource "google_kms_crypto_key" {
    defaults = {
      id = "projects/questline-test/locations/global/keyRings/mock/cryptoKeys/mock"
    }
  }
}

mock_provider "google-beta" {}

variables {
  project  = "questline-test"
  location = "EU"
  home     = "europe-west4"

  regions = {
    europe-west4 = {
      nodes         = "10.10.0.0/20"
      pods          = "10.20.0.0/14"
      services      = "10.10.16.0/20"
      control_plane = "172.16.0.0/28"
    }
  }
}

run "without_optional_parts_none_is_made" {
  command = apply

  assert {
    condition     = length(module.streaming) == 0 && length(module.triggers) == 0 && length(module.ci) == 0 && length(module.game_clusters) == 0
    error_message = "A part was made although its setting is null."
  }

  assert {
    condition     = output.settings.broker_url == "pubsub:questline-test/questline-events"
    error_message = "The gateway's broker address is not the topic's."
  }

  assert {
    condition     = output.settings.warehouse_url == "bigquery:questline-test/EU"
    error_message = "The warehouse's address does not name project and location."
  }
}

run "no_workload_has_a_basic_or_an_administrators_role" {
  command = apply

  assert {
    condition = alltrue([
      for role in flatten(values(local.project_roles)) :
      !contains(["roles/owner", "roles/editor", "roles/viewer"], role) && !endswith(role, ".admin")
    ])
    error_message = "A workload has more rights on the project than it needs."
  }

  assert {
    condition     = !contains(keys(local.dataset_writers.privacy), "stream") && !contains(keys(local.project_roles), "push")
    error_message = "The stream may only read who is forgotten, and the pushing identity may nothing but push."
  }
}

run "the_gateway_reads_what_players_did_and_writes_nothing_but_messages" {
  command = apply

  assert {
    condition     = [for dataset, readers in local.dataset_readers : dataset if contains(keys(readers), "gateway")] == ["telemetry"]
    error_message = "The gateway's features come from the events; it needs no other dataset."
  }

  assert {
    condition     = alltrue([for writers in values(local.dataset_writers) : !contains(keys(writers), "gateway")])
    error_message = "The gateway may write to no dataset."
  }

  assert {
    condition     = contains(keys(local.job_users), "gateway") && contains(local.project_roles["gateway"], "roles/bigquery.readSessionUser")
    error_message = "Without these two roles the gateway's question about all players fails."
  }
}

run "every_optional_part_is_made_when_it_is_named" {
  command = apply

  variables {
    domain      = "ingest.example.com"
    trigger_url = "https://trigger.example.com/push"
    template    = "gs://questline-test-questline-pipelines/templates/stream-1.json"
    repository  = "projects/questline-test/locations/europe-west4/connections/git/repositories/questline"
    registries  = { ours = "images.example.com", builders = "builders.example.com" }
  }

  assert {
    condition     = length(module.streaming) == 1 && length(module.triggers) == 1 && length(module.ci) == 1 && length(module.game_clusters) == 1
    error_message = "A part is missing although its setting is given."
  }
}

run "a_project_is_named_by_its_id" {
  command = plan

  variables {
    project = "My Project"
  }

  expect_failures = [var.project]
}
