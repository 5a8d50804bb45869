variable "project" {
  description = "Project that runs the job."
  type        = string
}

variable "name" {
  description = "Name of the job. Under the same name a new template updates the running job in place."
  type        = string
}

variable "region" {
  description = "Region of the workers."
  type        = string
}

variable "template" {
  description = "gs:// address of the Flex Template's specification, with its version in the name."
  type        = string

  validation {
    condition     = startswith(var.template, "gs://")
    error_message = "The template is a file in Cloud Storage: gs://BUCKET/NAME.json."
  }
}

variable "account" {
  description = "E-mail address of the workers' identity."
  type        = string
}

variable "subnetwork" {
  description = "Self link of the workers' subnetwork."
  type        = string
}

variable "temp_bucket" {
  description = "Bucket for staged and temporary files."
  type        = string
}

variable "subscription" {
  description = "Full id of the subscription to read."
  type        = string
}

variable "dead_letter_topic" {
  description = "Full id of the topic for what cannot become a row."
  type        = string
}

variable "warehouse_url" {
  description = "Address of the warehouse, bigquery:PROJECT/LOCATION."
  type        = string
}

variable "machine_type" {
  description = "Type of the workers."
  type        = string
  default     = "n2d-standard-2"
}

variable "workers" {
  description = "The fewest and the most workers."
  type = object({
    min = number
    max = number
  })
  default = {
    min = 1
    max = 10
  }

  validation {
    condition     = var.workers.min >= 1 && var.workers.min <= var.workers.max
    error_message = "A streaming job keeps at least one worker, and no more than the most."
  }
}

variable "labels" {
  description = "Labels of the job."
  type        = map(string)
  default     = {}
}
