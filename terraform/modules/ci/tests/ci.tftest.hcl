mock_provider "google" {}

variables {
  project     = "questline-test"
  name        = "questline"
  region      = "europe-west4"
  repository  = "projects/questline-test/locations/europe-west4/connections/code/repositories/questline"
  images      = "images.example.com/questline-test/questline"
  builders    = "builders.example.com"
  builder     = "projects/questline-test/serviceAccounts/builder@questline-test.iam.gserviceaccount.com"
  attestor    = "projects/questline-test/attestors/questline-builds"
  signing_key = "projects/questline-test/locations/global/keyRings/questline-signing/cryptoKeys/models-and-images"

  services = {
    gateway = { tests = "ingest", paths = ["ingest/**"] }
    serving = { tests = "kserve", paths = ["kserve/**"] }
  }
}

run "each_service_is_built_when_its_files_change_and_when_the_kernel_does" {
  command = apply

  assert {
    condition     = keys(google_cloudbuild_trigger.this) == ["gateway", "serving"]
    error_message = "A service has no build."
  }

  assert {
    condition     = contains(google_cloudbuild_trigger.this["gateway"].included_files, "ingest/**") && contains(google_cloudbuild_trigger.this["gateway"].included_files, "components/**")
    error_message = "A change of the gateway or of the kernel builds nothing."
  }

  assert {
    condition     = !contains(google_cloudbuild_trigger.this["gateway"].included_files, "kserve/**")
    error_message = "A change of another service builds the gateway."
  }

  assert {
    condition     = alltrue([for build in google_cloudbuild_trigger.this : build.repository_event_config[0].push[0].branch == "^main$"])
    error_message = "Another branch than main is deployed."
  }
}

run "a_service_without_paths_is_refused" {
  command = plan

  variables {
    services = { gateway = { tests = "ingest", paths = [] } }
  }

  expect_failures = [var.services]
}
