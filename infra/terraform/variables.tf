# Where it runs, and who is told. What Muster itself is to do stands in settings.tf.

variable "project_id" {
  description = "The Google Cloud project. Billing is on, and nothing else that is called muster-* lives in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id has 6 to 30 lower-case letters, digits and dashes, such as muster-prod. Not its number or its name."
  }
}

variable "region" {
  description = "Region of the functions, the queues and the schedules, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like europe-west1. A zone (europe-west1-b) is none."
  }
}

variable "image" {
  description = "The one image of all functions, with its digest: REGION-docker.pkg.dev/PROJECT/muster/muster@sha256:... A tag could be moved."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+/[^@ ]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest (...@sha256:64 hex digits): then what is planned is what runs."
  }
}

variable "own_targets" {
  description = "Entry points that the page serves already, and that are to be public functions of their own as well: create_invite, create_user."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.own_targets, ["create_invite", "create_user"])) == 0
    error_message = "Only create_invite and create_user may be functions of their own; all others are deployed anyway."
  }
}

variable "firestore_location" {
  description = "Where the database is, for ever: a region, or eur3 or nam5. Empty: the region of the functions."
  type        = string
  default     = ""

  validation {
    condition     = var.firestore_location == "" || can(regex("^([a-z]+-[a-z]+[0-9]+|eur3|nam5|nam7)$", var.firestore_location))
    error_message = "Firestore lives in a region such as europe-west1, or in eur3, nam5 or nam7."
  }
}

variable "firestore_database" {
  description = "The database. Another one than (default) if the project has a (default) in Datastore mode, or for something else."
  type        = string
  default     = "(default)"

  validation {
    condition     = can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.firestore_database))
    error_message = "(default), or 4 to 63 lower-case letters, digits and dashes."
  }
}

variable "backup_retention_days" {
  description = "How long each daily backup is kept. Within the last 7 days the database can be read as it was in any minute besides."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 98 && floor(var.backup_retention_days) == var.backup_retention_days
    error_message = "1 to 98 days."
  }
}

variable "alert_email" {
  description = "Who is told when something is wrong. A list of several people is better than one person."
  type        = string

  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alert_email))
    error_message = "An e-mail address, such as muster-alerts@example.org."
  }
}

variable "billing_account" {
  description = "Billing account of the project (000000-000000-000000), to be warned by a budget. Empty: no budget. Needs the right to make budgets on it."
  type        = string
  default     = ""

  validation {
    condition     = var.billing_account == "" || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "A billing account looks like 012345-6789AB-CDEF01: gcloud billing accounts list."
  }
}

variable "monthly_budget" {
  description = "What a month may cost, in whole units of the billing account's currency, before somebody is told (at 50, 90 and 100 %). It stops nothing."
  type        = number
  default     = 10

  validation {
    condition     = var.monthly_budget >= 1 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "A whole number from 1."
  }
}
