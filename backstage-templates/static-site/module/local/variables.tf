variable "site_name" {
  description = "Lowercase letters, numbers, and hyphens only"
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.site_name))
    error_message = "site_name must match ^[a-z][a-z0-9-]{2,30}$: 3 to 31 lowercase letters, digits and hyphens, a letter first."
  }
}

variable "environment" {
  description = "Deployment environment"
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment must be dev, staging or prod."
  }
}

variable "team_owner" {
  description = "Team responsible for this site"
  type        = string
  nullable    = false

  validation {
    condition     = trimspace(var.team_owner) != ""
    error_message = "team_owner must not be empty."
  }
}

variable "cost_center" {
  description = "Cost center for billing"
  type        = string
  nullable    = false

  validation {
    condition     = trimspace(var.cost_center) != "" && length(var.cost_center) <= 40
    error_message = "cost_center must have 1 to 40 characters."
  }
}

variable "title" {
  description = "Heading of the page and of its tab"
  type        = string
  nullable    = false

  validation {
    condition     = length(var.title) >= 1 && length(var.title) <= 100
    error_message = "title must have 1 to 100 characters."
  }
}

variable "message" {
  description = "Text of the page, shown as it is written, lines included"
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.message) <= 2000
    error_message = "message must have at most 2000 characters."
  }
}

variable "visits_per_month" {
  description = "Expected visits per month; a forecast only, visitors are never turned away"
  type        = number
  default     = 10000
  nullable    = false

  validation {
    condition     = var.visits_per_month >= 0 && var.visits_per_month <= 1000000 && floor(var.visits_per_month) == var.visits_per_month
    error_message = "visits_per_month must be a whole number from 0 to 1000000."
  }
}

variable "database" {
  description = "A database that the page names the endpoint of"
  type        = string
  default     = ""
  nullable    = false
}

variable "roadbed" {
  description = "What the platform says of the instance; not a parameter"
  type = object({
    instance_id = string
    short_id    = string
    request_id  = string
    environment = string
    region      = string
    tags        = map(string)
    settings    = optional(map(string), {})
  })
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{8,64}$", var.roadbed.instance_id))
    error_message = "roadbed.instance_id must be 8 to 64 letters, digits and hyphens."
  }

  validation {
    condition     = can(regex("^[a-z0-9]{4,16}$", var.roadbed.short_id))
    error_message = "roadbed.short_id must be 4 to 16 lowercase letters and digits."
  }

  validation {
    condition     = startswith(lookup(var.roadbed.settings, "sites_directory", ""), "/")
    error_message = "The environment's settings must name an absolute sites_directory, in which sites are written."
  }
}
