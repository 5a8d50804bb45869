variable "project" {
  description = "Project that holds the datasets."
  type        = string
}

variable "location" {
  description = "Location of all datasets, such as US or europe-west4."
  type        = string
}

variable "schemas" {
  description = "JSON schema of each table of the dataset telemetry, as `questline events schema --format bigquery` prints it."
  type        = map(string)

  validation {
    condition     = length(setsubtract(["events", "rejects", "predictions"], keys(var.schemas))) == 0
    error_message = "The tables events, rejects and predictions need a schema each."
  }
}

variable "event_days" {
  description = "How many days events are kept; 0 keeps them for ever."
  type        = number
  default     = 0

  validation {
    condition     = var.event_days == 0 || var.event_days >= 45
    error_message = "Features and labels look back 45 days: keep events at least as long, or for ever (0)."
  }
}

variable "reject_days" {
  description = "How many days rejected events are kept for a replay."
  type        = number
  default     = 90
}

variable "prediction_days" {
  description = "How many days the sample of served predictions is kept; 0 keeps it for ever."
  type        = number
  default     = 365
}

variable "writers" {
  description = "Members that write to each dataset."
  type        = map(map(string))
  default     = {}
}

variable "readers" {
  description = "Members that read each dataset."
  type        = map(map(string))
  default     = {}
}

variable "job_users" {
  description = "Members that may run queries, paid by this project."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "While true, tables are not removed, and a dataset that holds tables is not either."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of datasets and tables."
  type        = map(string)
  default     = {}
}
