variable "project" {
  description = "Project that runs the pipelines."
  type        = string
}

variable "workloads" {
  description = "One Google identity for each workload: account id to the Kubernetes service accounts (NAMESPACE/NAME) that act as it."
  type        = map(list(string))

  validation {
    condition     = alltrue([for id in keys(var.workloads) : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", id))])
    error_message = "An account id has 6 to 30 characters: lower-case letters, digits and hyphens."
  }
}

variable "project_roles" {
  description = "Roles that cannot be narrower than the project, for each workload."
  type        = map(list(string))
  default     = {}

  validation {
    condition = alltrue([
      for role in flatten(values(var.project_roles)) :
      !contains(["roles/owner", "roles/editor", "roles/viewer"], role) && !endswith(role, ".admin")
    ])
    error_message = "No workload gets a basic role or an administrator's: name the one role that it needs."
  }
}

variable "kubeflow" {
  description = "Installs Kubeflow Pipelines of this version with kubectl, into the cluster that the context names; null: it is there already."
  type = object({
    version = string
    context = string
  })
  default = null
}
