variable "project" {
  description = "Project whose policies are set; whoever applies this needs roles/orgpolicy.policyAdmin on the organisation."
  type        = string
}

variable "enforced" {
  description = "Constraints to enforce in the project. The defaults tighten; nothing that Questline does needs a loosened one."
  type        = set(string)
  default = [
    "compute.requireOsLogin",
    "compute.requireShieldedVm",
    "compute.skipDefaultNetworkCreation",
    "iam.disableServiceAccountKeyCreation",
    "storage.publicAccessPrevention",
    "storage.uniformBucketLevelAccess",
  ]
}

variable "locations" {
  description = "Locations in which resources may be made, such as in:eu-locations; empty: any."
  type        = list(string)
  default     = []
}
