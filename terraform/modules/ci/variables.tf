variable "project" {
  description = "Project that builds."
  type        = string
}

variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "region" {
  description = "Region of the builds."
  type        = string
}

variable "repository" {
  description = "Cloud Build repository (projects/…/repositories/…) that holds the source."
  type        = string
}

variable "branch" {
  description = "Branch whose pushes are built, as a regular expression."
  type        = string
  default     = "^main$"
}

variable "images" {
  description = "Path of the image registry with its host: HOST/PROJECT/REPOSITORY."
  type        = string
}

variable "builders" {
  description = "Where Cloud Build's own step images lie, with their host."
  type        = string
}

variable "builder" {
  description = "Resource name of the identity that builds."
  type        = string
}

variable "attestor" {
  description = "Binary Authorization attestor (projects/…/attestors/…) in whose name images are signed."
  type        = string
}

variable "signing_key" {
  description = "Id of the key that signs."
  type        = string
}

variable "cluster" {
  description = "Name of the cluster to deploy to; empty: images are built and signed only."
  type        = string
  default     = ""
}

variable "services" {
  description = "What is built: the folder of its tests, and the paths whose change starts it."
  type = map(object({
    tests = string
    paths = list(string)
  }))

  validation {
    condition     = alltrue([for service in values(var.services) : length(service.paths) > 0])
    error_message = "A service without paths would be built at every push of common files only."
  }
}
