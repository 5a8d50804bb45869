output "policies" {
  description = "Names of the policies that are set."
  value       = [for policy in google_org_policy_policy.enforced : policy.name]
}
