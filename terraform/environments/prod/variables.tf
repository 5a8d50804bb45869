variable "project" {
  description = "Project that holds everything."
  type        = string
}

variable "operators" {
  description = "Networks from which kubectl may reach the clusters: name to CIDR block."
  type        = map(string)
  default     = {}
}

variable "domain" {
  description = "Host name at which game clients call."
  type        = string
  default     = null
}

variable "trigger_url" {
  description = "Address of the trigger service, https://HOST/push, once the chart is installed."
  type        = string
  default     = null
}

variable "template" {
  description = "gs:// address of the streaming job's template, once it is built."
  type        = string
  default     = null
}

variable "repository" {
  description = "Cloud Build repository that holds the source."
  type        = string
  default     = null
}

variable "registries" {
  description = "Hosts of images, wanted with repository: ours, and that of Cloud Build's step images."
  type = object({
    ours     = string
    builders = string
  })
  default = {
    ours     = ""
    builders = ""
  }
}
