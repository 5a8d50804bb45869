mock_provider "google" {}

variables {
  project  = "questline-test"
  name     = "questline"
  entrance = "europe-west4"
  domain   = "ingest.example.com"

  clusters = {
    europe-west4 = "projects/questline-test/locations/europe-west4/clusters/questline"
    us-central1  = "projects/questline-test/locations/us-central1/clusters/questline"
  }
}

run "every_region_is_in_the_fleet_and_one_describes_the_entrance" {
  command = apply

  assert {
    condition     = keys(google_gke_hub_membership.this) == ["europe-west4", "us-central1"]
    error_message = "A region is missing in the fleet."
  }

  assert {
    condition     = google_gke_hub_feature.entrance.spec[0].multiclusteringress[0].config_membership == google_gke_hub_membership.this["europe-west4"].id
    error_message = "Another cluster than the named one describes the entrance."
  }
}

run "the_certificate_is_of_the_domain_and_one_caller_cannot_drown_the_others" {
  command = apply

  assert {
    condition     = google_certificate_manager_certificate_map_entry.this.hostname == "ingest.example.com"
    error_message = "The certificate answers for another name."
  }

  assert {
    condition     = length([for rule in google_compute_security_policy.this.rule : rule if rule.action == "throttle"]) == 1
    error_message = "No rule bounds how often one address may call."
  }
}
