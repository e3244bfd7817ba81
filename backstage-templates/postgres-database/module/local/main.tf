# A database on a PostgreSQL server that is there already: for laptops, tests
# and shared development servers.

locals {
  # At most 31 + 1 + 16 + 8 bytes ("_monitor"), where PostgreSQL takes 63.
  made = "${replace(var.database_name, "-", "_")}_${var.roadbed.short_id}"

  # What was imported keeps its name.
  database = lookup(var.roadbed.imported, "postgres_database.main", local.made)
  owner    = lookup(var.roadbed.imported, "postgres_role.owner", "${local.made}_owner")
  marker   = "roadbed:${var.roadbed.instance_id}"

  # Where all that it holds is written before it is dropped.
  snapshots      = lookup(var.roadbed.settings, "snapshots_directory", null)
  final_snapshot = local.snapshots == null ? null : "${trimsuffix(local.snapshots, "/")}/${local.made}.dump"

  # A shared server has no instance classes: what a class buys here is connections.
  class_connections = {
    "db.t3.small"   = 25
    "db.t3.medium"  = 50
    "db.t3.large"   = 100
    "db.r6g.xlarge" = 200
  }
  max_connections = tonumber(lookup(var.custom_parameters, "max_connections", local.class_connections[var.instance_class]))

  settings = {
    for name, value in var.custom_parameters : name => value
    if contains(data.postgres_server.this.database_settings, name)
  }
  unapplied = {
    for name, value in var.custom_parameters : name => value
    if name != "max_connections" && !contains(data.postgres_server.this.database_settings, name)
  }

  # The request's own id would make every later request a change.
  tags = { for key, value in var.roadbed.tags : key => value if value != var.roadbed.request_id }

  password_version = var.roadbed.credentials_version

  credentials = "roadbed://instances/${var.roadbed.instance_id}/credentials"

  host = postgres_database.main.host
  port = postgres_database.main.port
  monitoring = (
    startswith(local.host, "/")
    ? "postgresql://${postgres_role.monitor.name}@/${local.database}?host=${urlencode(local.host)}&port=${local.port}"
    : "postgresql://${postgres_role.monitor.name}@${strcontains(local.host, ":") ? "[${local.host}]" : local.host}:${local.port}/${local.database}"
  )
}

data "postgres_server" "this" {}

check "monitoring_reach" {
  assert {
    condition     = length(data.postgres_server.this.open_databases) == 0
    error_message = "Every role may connect to ${join(", ", data.postgres_server.this.open_databases)} on this server, so the monitoring role could read them too. An administrator can close each with: REVOKE CONNECT ON DATABASE <name> FROM PUBLIC."
  }
}

# What was asked for and a shared server does not provide, on record beside
# what it does.
resource "terraform_data" "requested" {
  input = {
    environment           = var.environment
    region                = var.roadbed.region
    instance_class        = var.instance_class
    storage_gb            = var.storage_gb
    backup_retention_days = var.backup_retention_days
    multi_az              = var.multi_az
    team_owner            = var.team_owner
    cost_center           = var.cost_center
    unapplied_parameters  = local.unapplied
    tags                  = local.tags
  }
}

resource "postgres_role" "owner" {
  name             = local.owner
  comment          = local.marker
  password_version = local.password_version
}

resource "postgres_database" "main" {
  name             = local.database
  owner            = postgres_role.owner.name
  comment          = local.marker
  connection_limit = local.max_connections
  settings         = local.settings
  final_snapshot   = local.final_snapshot
  create_delay     = lookup(var.roadbed.settings, "create_delay", null)
}

# Reads statistics and every table; CONNECT decides where.
resource "postgres_role" "monitor" {
  name             = "${local.made}_monitor"
  comment          = local.marker
  password_version = local.password_version
  connection_limit = 5
  member_of        = ["pg_monitor", "pg_read_all_data"]
  connect_to       = [postgres_database.main.name]
}

# Which logins the sensitive output "credentials" holds, and where the platform
# hands them out. It is the last to be made: both logins work by then.
resource "terraform_data" "credentials" {
  input = {
    reference = local.credentials
    database  = postgres_database.main.name
    logins = {
      owner   = { role = postgres_role.owner.name, password_version = postgres_role.owner.password_version }
      monitor = { role = postgres_role.monitor.name, password_version = postgres_role.monitor.password_version }
    }
  }
}
