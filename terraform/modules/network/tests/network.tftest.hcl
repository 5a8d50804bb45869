mock_provider "google" {}

variables {
  project = "questline-test"
  name    = "questline"
  regions = {
    europe-west4 = {
      nodes    = "10.10.0.0/20"
      pods     = "10.20.0.0/14"
      services = "10.10.16.0/20"
    }
  }
}

run "nothing_comes_in_from_outside" {
  command = apply

  assert {
    condition     = length(coalesce(google_compute_firewall.dataflow.source_ranges, [])) == 0
    error_message = "The firewall lets addresses in, not only Dataflow's workers."
  }
}

run "a_range_is_a_block" {
  command = plan

  variables {
    regions = {
      europe-west4 = {
        nodes    = "10.10.0.0"
        pods     = "10.20.0.0/14"
        services = "10.10.16.0/20"
      }
    }
  }

  expect_failures = [var.regions]
}
