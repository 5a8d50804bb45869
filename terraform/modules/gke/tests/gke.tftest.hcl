mock_provider "google" {}

variables {
  project             = "questline-test"
  name                = "questline-europe-west4"
  region              = "europe-west4"
  network             = "projects/questline-test/global/networks/questline"
  subnetwork          = "projects/questline-test/regions/europe-west4/subnetworks/questline"
  control_plane_range = "172.16.0.0/28"
}

run "nodes_are_private_and_the_cluster_is_held_back" {
  command = apply

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "Nodes have public addresses."
  }

  assert {
    condition     = google_container_cluster.this.deletion_protection
    error_message = "Without being asked, a destroy takes the cluster away."
  }

  assert {
    condition     = length(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks) == 0
    error_message = "Somebody reaches the control plane whom nobody named."
  }
}

run "nodes_hold_no_more_than_they_need" {
  command = apply

  assert {
    condition     = alltrue([for grant in google_project_iam_member.nodes : !contains(["roles/owner", "roles/editor"], grant.role)])
    error_message = "Nodes hold a basic role."
  }
}

run "the_control_planes_range_is_a_28_block" {
  command = plan

  variables {
    control_plane_range = "172.16.0.0/24"
  }

  expect_failures = [var.control_plane_range]
}
