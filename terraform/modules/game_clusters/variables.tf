variable "project" {
  description = "Project that holds the fleet."
  type        = string
}

variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "clusters" {
  description = "Id of the cluster in each region."
  type        = map(string)
}

variable "entrance" {
  description = "Region whose cluster holds the Gateway objects that describe the entrance."
  type        = string
}

variable "domain" {
  description = "Host name at which game clients call, such as ingest.example.com."
  type        = string
}

variable "calls_per_minute" {
  description = "Calls that one address may make in a minute before it is refused."
  type        = number
  default     = 6000
}

variable "labels" {
  description = "Labels of fleet memberships and certificate."
  type        = map(string)
  default     = {}
}
