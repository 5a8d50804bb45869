mock_provider "google" {
  mock_data "google_kms_crypto_key_version" {
    defaults = {
      id = "projects/questline-test/locations/global/keyRings/mock/cryptoKeys/mock/cryptoKeyVersions/1"
      public_key = [{
        algorithm = "EC_SIGN_P256_SHA256"
        pem       = "mock"
      }]
    }
  }
}

variables {
  project  = "questline-test"
  name     = "questline"
  location = "EU"
  region   = "europe-west4"

  writers = {
    models = { pipeline = "serviceAccount:pipeline@questline-test.iam.gserviceaccount.com" }
  }

  readers = {
    models = { serving = "serviceAccount:serving@questline-test.iam.gserviceaccount.com" }
  }
}

run "no_bucket_is_public_or_goes_with_its_objects" {
  command = apply

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.public_access_prevention == "enforced"])
    error_message = "A bucket could be made public."
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : !bucket.force_destroy])
    error_message = "Without being asked, a destroy takes objects away."
  }

  assert {
    condition     = google_storage_bucket.this["models"].versioning[0].enabled
    error_message = "A model that is overwritten is gone."
  }
}

run "each_identity_does_with_a_bucket_what_it_is_named_for" {
  command = apply

  assert {
    condition     = google_storage_bucket_iam_member.writers["models/pipeline"].role == "roles/storage.objectUser"
    error_message = "Whoever writes models holds another role."
  }

  assert {
    condition     = keys(google_storage_bucket_iam_member.readers) == ["models/serving"]
    error_message = "Somebody reads a bucket whom nobody named."
  }
}

run "dev_can_be_taken_away_wholly" {
  command = apply

  variables {
    deletion_protection = false
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.force_destroy])
    error_message = "A filled bucket holds a destroy back that was asked for."
  }
}
