mock_provider "google" {}

variables {
  project = "questline-test"
}

run "guard_rails_are_tightened_and_locations_left_open" {
  command = apply

  assert {
    condition     = alltrue([for policy in google_org_policy_policy.enforced : policy.spec[0].rules[0].enforce == "TRUE"])
    error_message = "A guard rail is loosened."
  }

  assert {
    condition     = contains(keys(google_org_policy_policy.enforced), "iam.disableServiceAccountKeyCreation")
    error_message = "Keys of service accounts could be made."
  }

  assert {
    condition     = length(google_org_policy_policy.locations) == 0
    error_message = "Locations are bounded though nobody asked."
  }
}

run "locations_are_bounded_when_asked" {
  command = apply

  variables {
    locations = ["in:eu-locations"]
  }

  assert {
    condition     = google_org_policy_policy.locations[0].spec[0].rules[0].values[0].allowed_values == tolist(["in:eu-locations"])
    error_message = "Other locations are allowed than those that were named."
  }
}
