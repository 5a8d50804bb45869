# Gateways in several regions behind one address: players reach the nearest cluster that is healthy.

resource "google_gke_hub_membership" "this" {
  for_each = var.clusters

  project       = var.project
  membership_id = "${var.name}-${each.key}"
  location      = "global"
  labels        = var.labels

  endpoint {
    gke_cluster {
      resource_link = "//container.googleapis.com/${each.value}"
    }
  }
}

resource "google_gke_hub_feature" "services" {
  project  = var.project
  name     = "multiclusterservicediscovery"
  location = "global"
  labels   = var.labels
}

resource "google_gke_hub_feature" "entrance" {
  project  = var.project
  name     = "multiclusteringress"
  location = "global"
  labels   = var.labels

  spec {
    multiclusteringress {
      config_membership = google_gke_hub_membership.this[var.entrance].id
    }
  }
}

resource "google_compute_global_address" "this" {
  project = var.project
  name    = var.name
}

resource "google_certificate_manager_dns_authorization" "this" {
  project = var.project
  name    = var.name
  domain  = var.domain
  labels  = var.labels
}

resource "google_certificate_manager_certificate" "this" {
  project = var.project
  name    = var.name
  labels  = var.labels

  managed {
    domains            = [var.domain]
    dns_authorizations = [google_certificate_manager_dns_authorization.this.id]
  }
}

resource "google_certificate_manager_certificate_map" "this" {
  project = var.project
  name    = var.name
  labels  = var.labels
}

resource "google_certificate_manager_certificate_map_entry" "this" {
  project      = var.project
  name         = var.name
  map          = google_certificate_manager_certificate_map.this.name
  hostname     = var.domain
  certificates = [google_certificate_manager_certificate.this.id]
  labels       = var.labels
}

resource "google_compute_security_policy" "this" {
  project = var.project
  name    = var.name

  rule {
    action      = "throttle"
    priority    = 1000
    description = "One address cannot drown the others."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.calls_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    action      = "deny(403)"
    priority    = 900
    description = "CVE-2021-44228 and its kin, wherever it stands in a request."

    match {
      expr {
        expression = "evaluatePreconfiguredExpr('cve-canary')"
      }
    }
  }

  rule {
    action      = "allow"
    priority    = 2147483647
    description = "Everyone else; keys are checked by the gateway."

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
