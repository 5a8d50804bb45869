# Where models, exports and pipeline outputs lie, where images come from, and the key that signs both.

locals {
  buckets = {
    models    = { keep_days = null, versioned = true }
    exports   = { keep_days = 30, versioned = false }
    pipelines = { keep_days = 90, versioned = false }
  }

  writers = merge([
    for bucket, members in var.writers : {
      for name, member in members : "${bucket}/${name}" => { bucket = bucket, member = member }
    }
  ]...)

  readers = merge([
    for bucket, members in var.readers : {
      for name, member in members : "${bucket}/${name}" => { bucket = bucket, member = member }
    }
  ]...)
}

resource "google_storage_bucket" "this" {
  for_each = local.buckets

  project                     = var.project
  name                        = "${var.project}-${var.name}-${each.key}"
  location                    = var.location
  labels                      = var.labels
  force_destroy               = !var.deletion_protection
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = each.value.versioned
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.keep_days == null ? [] : [each.value.keep_days]

    content {
      action {
        type = "Delete"
      }

      condition {
        age = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versioned ? [5] : []

    content {
      action {
        type = "Delete"
      }

      condition {
        num_newer_versions = lifecycle_rule.value
        with_state         = "ARCHIVED"
      }
    }
  }
}

resource "google_storage_bucket_iam_member" "writers" {
  for_each = local.writers

  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = "roles/storage.objectUser"
  member = each.value.member
}

resource "google_storage_bucket_iam_member" "readers" {
  for_each = local.readers

  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = "roles/storage.objectViewer"
  member = each.value.member
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = var.name
  description   = "Images of Questline, and models as images."
  format        = "DOCKER"
  labels        = var.labels

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "drop-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s" # 30 days
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "writers" {
  for_each = var.image_writers

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = each.value
}

resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = var.image_readers

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = each.value
}

resource "google_kms_key_ring" "signing" {
  project  = var.project
  name     = "${var.name}-signing"
  location = "global"
}

resource "google_kms_crypto_key" "signing" {
  name     = "models-and-images"
  key_ring = google_kms_key_ring.signing.id
  purpose  = "ASYMMETRIC_SIGN"
  labels   = var.labels

  version_template {
    algorithm        = "EC_SIGN_P256_SHA256"
    protection_level = "SOFTWARE"
  }

  lifecycle {
    prevent_destroy = true # what it signed could never be verified again
  }
}

resource "google_kms_crypto_key_iam_member" "signers" {
  for_each = var.signers

  crypto_key_id = google_kms_crypto_key.signing.id
  role          = "roles/cloudkms.signerVerifier"
  member        = each.value
}

data "google_kms_crypto_key_version" "signing" {
  crypto_key = google_kms_crypto_key.signing.id
}

# Clusters run what this attestor has signed; each signature is a note's occurrence.
resource "google_container_analysis_note" "signed" {
  project = var.project
  name    = "${var.name}-signed"

  attestation_authority {
    hint {
      human_readable_name = "Built and signed by Questline's builds"
    }
  }
}

resource "google_binary_authorization_attestor" "builds" {
  project = var.project
  name    = "${var.name}-builds"

  attestation_authority_note {
    note_reference = google_container_analysis_note.signed.name

    public_keys {
      id = data.google_kms_crypto_key_version.signing.id

      pkix_public_key {
        public_key_pem      = data.google_kms_crypto_key_version.signing.public_key[0].pem
        signature_algorithm = data.google_kms_crypto_key_version.signing.public_key[0].algorithm
      }
    }
  }
}
