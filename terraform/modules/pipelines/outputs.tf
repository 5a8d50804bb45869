output "members" {
  description = "Member (serviceAccount:…) of each workload, for grants."
  value       = { for id, account in google_service_account.this : id => account.member }
}

output "emails" {
  description = "E-mail address of each workload's identity, for annotations of Kubernetes service accounts."
  value       = { for id, account in google_service_account.this : id => account.email }
}

output "ids" {
  description = "Resource name of each workload's identity."
  value       = { for id, account in google_service_account.this : id => account.name }
}
