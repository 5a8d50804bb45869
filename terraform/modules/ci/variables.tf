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
  description = "Path of the image registry: PROJECT/REPOSITORY."
  type        = string
}

variable "builder" {
  description = "Resource name of the identity that builds."
  type        = string
}

variable "services" {
  description = "What is built: the build file, and the paths whose change starts it."
  type = map(object({
    file  = string
    paths = list(string)
  }))

  validation {
    condition     = alltrue([for service in values(var.services) : length(service.paths) > 0])
    error_message = "A service without paths would be built at every push."
  }
}
