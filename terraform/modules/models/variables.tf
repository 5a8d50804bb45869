variable "project" {
  description = "Project that holds the buckets."
  type        = string
}

variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "location" {
  description = "Location of the buckets."
  type        = string
}

variable "region" {
  description = "Region of the image registry."
  type        = string
}

variable "writers" {
  description = "Members that write objects, for each bucket (models, exports, pipelines)."
  type        = map(map(string))
  default     = {}
}

variable "readers" {
  description = "Members that read objects, for each bucket."
  type        = map(map(string))
  default     = {}
}

variable "signers" {
  description = "Members that sign models and images."
  type        = map(string)
  default     = {}
}

variable "image_writers" {
  description = "Members that push images."
  type        = map(string)
  default     = {}
}

variable "image_readers" {
  description = "Members that pull images, beside the clusters' nodes."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "While true, a bucket that holds objects is not removed."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of buckets and registry."
  type        = map(string)
  default     = {}
}
