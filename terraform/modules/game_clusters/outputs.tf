output "address" {
  description = "Address to which the domain's A record must point."
  value       = google_compute_global_address.this.address
}

output "address_name" {
  description = "Name of that address, as the Gateway refers to it."
  value       = google_compute_global_address.this.name
}

output "certificate_map" {
  description = "Certificate map, as the Gateway refers to it."
  value       = google_certificate_manager_certificate_map.this.name
}

output "security_policy" {
  description = "Security policy, as the Gateway's backend policy refers to it."
  value       = google_compute_security_policy.this.name
}

output "proof_of_domain" {
  description = "DNS record that proves the domain is yours."
  value       = google_certificate_manager_dns_authorization.this.dns_resource_record
}
