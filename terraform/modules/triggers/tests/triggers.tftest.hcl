mock_provider "google" {
  mock_resource "google_pubsub_topic" {
    defaults = {
      id = "projects/questline-test/topics/mock"
    }
  }
}

variables {
  project         = "questline-test"
  project_number  = "123456789012"
  name            = "questline"
  trigger_url     = "https://trigger.example.com/push"
  push_account    = "push@questline-test.iam.gserviceaccount.com"
  push_account_id = "projects/questline-test/serviceAccounts/push@questline-test.iam.gserviceaccount.com"
  exports_bucket  = "questline-test-questline-exports"
  streaming_job   = "questline-stream"
}

run "pushes_carry_a_token_for_the_trigger_service" {
  command = apply

  assert {
    condition = alltrue([
      for push in google_pubsub_subscription.push :
      push.push_config[0].oidc_token[0].audience == "https://trigger.example.com/push"
    ])
    error_message = "A push has no token, or one for another audience."
  }

  assert {
    condition     = length(google_pubsub_subscription_iam_member.agent_acknowledges) == length(google_pubsub_subscription.push)
    error_message = "A failed push would come for ever: the agent cannot acknowledge it."
  }
}

run "a_push_without_encryption_is_refused" {
  command = plan

  variables {
    trigger_url = "http://trigger.example.com/push"
  }

  expect_failures = [var.trigger_url]
}
