variable "project" {
  description = "Project that holds the topics."
  type        = string
}

variable "project_number" {
  description = "Number of the project: names Pub/Sub's own service agent."
  type        = string
}

variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "regions" {
  description = "Regions in which messages may be stored."
  type        = list(string)
}

variable "event_schema" {
  description = "Protocol buffer definition of one event, as `questline events schema --format pubsub` prints it."
  type        = string
}

variable "retention" {
  description = "How long an unread message is kept, in seconds with an s; also how far back a subscription can seek."
  type        = string
  default     = "604800s" # 7 days
}

variable "publishers" {
  description = "Members that publish events: the gateway."
  type        = map(string)
}

variable "readers" {
  description = "Members that read events: the streaming job."
  type        = map(string)
}

variable "labels" {
  description = "Labels of topics and subscriptions."
  type        = map(string)
  default     = {}
}
