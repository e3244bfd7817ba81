variable "database_name" {
  description = "Lowercase letters, numbers, and hyphens only"
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,30}$", var.database_name))
    error_message = "database_name must match ^[a-z][a-z0-9-]{2,30}$: 3 to 31 lowercase letters, digits and hyphens, a letter first."
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

variable "instance_class" {
  description = "How much CPU and memory it has"
  type        = string
  default     = "db.t3.medium"
  nullable    = false

  validation {
    condition     = contains(["db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"], var.instance_class)
    error_message = "instance_class must be db.t3.small, db.t3.medium, db.t3.large or db.r6g.xlarge."
  }
}

variable "storage_gb" {
  description = "Storage size in GB"
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.storage_gb >= 20 && var.storage_gb <= 1000 && floor(var.storage_gb) == var.storage_gb
    error_message = "storage_gb must be a whole number from 20 to 1000."
  }
}

variable "backup_retention_days" {
  description = "Days to retain automated backups"
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35 && floor(var.backup_retention_days) == var.backup_retention_days
    error_message = "backup_retention_days must be a whole number from 1 to 35."
  }
}

variable "multi_az" {
  description = "Enable multi-AZ for high availability (2x cost)"
  type        = bool
  default     = false
  nullable    = false
}

variable "team_owner" {
  description = "Team responsible for this database"
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

variable "custom_parameters" {
  description = "PostgreSQL settings by name, such as max_connections: 200 or work_mem: 64MB"
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.custom_parameters) : can(regex("^[a-z_][a-z0-9_]*(\\.[a-z_][a-z0-9_]*)?$", name))])
    error_message = "The names in custom_parameters must be names of PostgreSQL settings, such as work_mem."
  }

  validation {
    condition     = can(regex("^[1-9][0-9]{0,3}$", lookup(var.custom_parameters, "max_connections", "1")))
    error_message = "max_connections in custom_parameters must be a whole number from 1 to 9999."
  }
}

variable "roadbed" {
  description = "What the platform says of the instance; not a parameter"
  type = object({
    instance_id = string
    short_id    = string
    request_id  = string
    environment = string
    account     = optional(string, "")
    region      = string
    tags        = map(string)
    settings    = optional(map(string), {})
    imported    = optional(map(string), {}) # by address: the identifiers of what was there already

    # Another one makes the password anew.
    credentials_version = optional(number, 1)
  })
  nullable = false

  # It is part of every physical name.
  validation {
    condition     = can(regex("^[a-z0-9]{4,16}$", var.roadbed.short_id))
    error_message = "roadbed.short_id must be 4 to 16 lowercase letters and digits."
  }

  validation {
    condition     = can(regex("^vpc-", lookup(var.roadbed.settings, "vpc_id", "")))
    error_message = "The environment's settings need vpc_id, the network that databases are made in, such as vpc-0a1b2c3d."
  }

  validation {
    condition     = length(compact(split(",", lookup(var.roadbed.settings, "subnet_ids", "")))) >= 2
    error_message = "The environment's settings need subnet_ids: subnets in two zones or more, separated by commas."
  }

  validation {
    condition     = length(compact(split(",", "${lookup(var.roadbed.settings, "client_cidr_blocks", "")},${lookup(var.roadbed.settings, "client_security_group_ids", "")}"))) > 0
    error_message = "The environment's settings need client_cidr_blocks or client_security_group_ids, separated by commas: from there databases may be reached."
  }
}
