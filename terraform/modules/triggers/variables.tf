variable "project" {
  description = "Project that holds the alert and its topic."
  type        = string
}

variable "project_number" {
  description = "Number of the project: names the service agents of Google's services."
  type        = string
}

variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "trigger_url" {
  description = "Address of the trigger service, https://HOST/push; the whole of it is the audience of the tokens."
  type        = string

  validation {
    condition     = startswith(var.trigger_url, "https://")
    error_message = "Pub/Sub pushes tokens, so the address must begin with https://."
  }
}

variable "push_account" {
  description = "E-mail address of the identity as which Pub/Sub pushes; the trigger service accepts no other."
  type        = string
}

variable "push_account_id" {
  description = "Resource name of the same identity."
  type        = string
}

variable "exports_bucket" {
  description = "Bucket whose finished exports become new generations of the lookup."
  type        = string
}

variable "streaming_job" {
  description = "Name of the Dataflow job whose writes to the warehouse are counted."
  type        = string
}

variable "load" {
  description = "The alert: more write requests to the warehouse than this, in a window of so many seconds."
  type = object({
    write_requests = number
    window_s       = number
  })
  default = {
    write_requests = 1000
    window_s       = 900
  }

  validation {
    condition     = var.load.window_s >= 60 && var.load.window_s % 60 == 0
    error_message = "Monitoring counts in whole minutes: give window_s as a multiple of 60."
  }
}

variable "labels" {
  description = "Labels of topics, subscriptions and the alert."
  type        = map(string)
  default     = {}
}
