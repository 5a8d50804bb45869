variable "project" {
  description = "Project that holds everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "Give the project's id (6 to 30 characters: lower-case letters, digits, hyphens), not its name or number."
  }
}

variable "name" {
  description = "Prefix of all names."
  type        = string
  default     = "questline"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,14}$", var.name))
    error_message = "The prefix has 3 to 15 characters: lower-case letters, digits, hyphens."
  }
}

variable "location" {
  description = "Location of warehouse and buckets. It must hold every region of the games."
  type        = string
}

variable "home" {
  description = "Region that runs the pipelines, the streaming job and the first gateway; one of the keys of regions."
  type        = string
}

variable "regions" {
  description = "Regions with a cluster that serves players, and their address ranges. None may overlap."
  type = map(object({
    nodes         = string
    pods          = string
    services      = string
    control_plane = string
  }))

  validation {
    condition     = length(var.regions) > 0
    error_message = "At least one region is needed."
  }
}

variable "operators" {
  description = "Networks from which kubectl may reach the clusters: name to CIDR block."
  type        = map(string)
  default     = {}
}

variable "namespace" {
  description = "Kubernetes namespace of the chart."
  type        = string
  default     = "questline"
}

variable "domain" {
  description = "Host name at which game clients call; null: no entrance from outside is made."
  type        = string
  default     = null
}

variable "trigger_url" {
  description = "Address of the trigger service, https://HOST/push; null until the chart is installed: no trigger is made."
  type        = string
  default     = null
}

variable "template" {
  description = "gs:// address of the streaming job's template; null until it is built: no job is started."
  type        = string
  default     = null
}

variable "kubeflow" {
  description = "Version of Kubeflow Pipelines to install, and the kubectl context of the home cluster; null: it is there already."
  type = object({
    version = string
    context = string
  })
  default = null
}

variable "repository" {
  description = "Cloud Build repository that holds the source; null: no builds are made."
  type        = string
  default     = null
}

variable "registries" {
  description = "Hosts of images: ours is the registry's host in the home region, builders is the path of Cloud Build's step images."
  type = object({
    ours     = string
    builders = string
  })
  default = {
    ours     = ""
    builders = ""
  }

  validation {
    condition     = var.repository == null || (var.registries.ours != "" && var.registries.builders != "")
    error_message = "Builds push to a registry and run Google's step images: give both hosts in registries."
  }
}

variable "event_days" {
  description = "How many days events are kept; 0 keeps them for ever."
  type        = number
  default     = 0
}

variable "load" {
  description = "Write requests in a window of so many seconds from which on a training is considered."
  type = object({
    write_requests = number
    window_s       = number
  })
  default = {
    write_requests = 1000
    window_s       = 900
  }
}

variable "workers" {
  description = "The fewest and the most workers of the streaming job."
  type = object({
    min = number
    max = number
  })
  default = {
    min = 1
    max = 10
  }
}

variable "org_policies" {
  description = "Whether the project's organisation policies are set here, which needs rights on the organisation."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "While true, clusters, tables and buckets with content survive a destroy."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of everything that takes labels."
  type        = map(string)
  default     = {}
}
