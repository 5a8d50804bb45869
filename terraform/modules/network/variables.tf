variable "project" {
  description = "Project that holds the network."
  type        = string
}

variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "regions" {
  description = "One subnetwork for each region: its nodes' range, and the ranges of pods and services. None may overlap."
  type = map(object({
    nodes    = string
    pods     = string
    services = string
  }))

  validation {
    condition = alltrue([
      for region in values(var.regions) : alltrue([for range in values(region) : can(cidrhost(range, 0))])
    ])
    error_message = "Every range must be written as a CIDR block, such as 10.10.0.0/20."
  }
}
