variable "project" {
  description = "Project that holds the cluster."
  type        = string
}

variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "region" {
  description = "Region of the cluster."
  type        = string
}

variable "network" {
  description = "Id of the network."
  type        = string
}

variable "subnetwork" {
  description = "Id of the subnetwork, with secondary ranges named pods and services."
  type        = string
}

variable "control_plane_range" {
  description = "A /28 block for the control plane, used nowhere else."
  type        = string

  validation {
    condition     = can(cidrhost(var.control_plane_range, 0)) && endswith(var.control_plane_range, "/28")
    error_message = "The control plane's range must be a /28 block, such as 172.16.0.0/28."
  }
}

variable "operators" {
  description = "Networks from which kubectl may reach the control plane: name to CIDR block."
  type        = map(string)
  default     = {}
}

variable "release_channel" {
  description = "GKE release channel."
  type        = string
  default     = "REGULAR"
}

variable "deletion_protection" {
  description = "While true, neither apply nor destroy removes the cluster."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of the cluster."
  type        = map(string)
  default     = {}
}
