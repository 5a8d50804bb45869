output "network" {
  description = "Id of the network."
  value       = google_compute_network.this.id
}

output "subnetworks" {
  description = "Id of the subnetwork of each region."
  value       = { for region, subnetwork in google_compute_subnetwork.this : region => subnetwork.id }
}

output "subnetwork_links" {
  description = "Self link of the subnetwork of each region, as Dataflow wants it."
  value       = { for region, subnetwork in google_compute_subnetwork.this : region => subnetwork.self_link }
}
