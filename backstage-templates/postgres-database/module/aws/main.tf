# A database of its own on Amazon RDS, in the network that the environment names.

locals {
  # At most 31 + 1 + 16 bytes, where RDS takes 63.
  made     = "${var.database_name}-${var.roadbed.short_id}"
  settings = var.roadbed.settings

  # What was imported keeps its names; see imported.tf.
  identifier = local.is_imported ? local.imported : local.made
  database   = local.is_imported ? try(coalesce(local.found.db_name), "postgres") : replace(var.database_name, "-", "_")
  username   = try(local.found.master_username, "dbowner")

  subnets         = [for id in split(",", lookup(local.settings, "subnet_ids", "")) : trimspace(id) if trimspace(id) != ""]
  client_blocks   = toset([for block in split(",", lookup(local.settings, "client_cidr_blocks", "")) : trimspace(block) if trimspace(block) != ""])
  client_groups   = toset([for id in split(",", lookup(local.settings, "client_security_group_ids", "")) : trimspace(id) if trimspace(id) != ""])
  engine_version  = lookup(local.settings, "postgres_version", "17")
  recovery_window = tonumber(lookup(local.settings, "secret_recovery_days", "7"))

  # "true" unless the environment says otherwise: what is destroyed can be restored.
  final_snapshot = lookup(local.settings, "final_snapshot", "true") != "false"

  # AWS refuses some characters in tags. Of the requests the first is told: it
  # made what is tagged. RoadbedInstance is the mark of what is this instance's.
  tags = merge(
    { for key, value in var.roadbed.tags : key => replace(value, "/[^\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@]/", "_") },
    { RoadbedInstance = var.roadbed.instance_id },
  )
}

# A database cannot leave its subnet group for another of the same network.
resource "aws_db_subnet_group" "main" {
  count = local.is_imported ? 0 : 1

  name        = local.made
  description = "Where ${local.identifier} may run"
  subnet_ids  = local.subnets
  tags        = local.tags

  lifecycle {
    ignore_changes = [tags["RequestID"], tags_all["RequestID"]]
  }
}

resource "aws_security_group" "main" {
  name        = "${local.made}-database"
  description = "Who may reach ${local.identifier}"
  vpc_id      = local.settings.vpc_id
  tags        = local.tags

  lifecycle {
    ignore_changes = [tags["RequestID"], tags_all["RequestID"]]
  }
}

resource "aws_vpc_security_group_ingress_rule" "blocks" {
  for_each = local.client_blocks

  security_group_id = aws_security_group.main.id
  description       = "PostgreSQL from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
  tags              = local.tags

  lifecycle {
    ignore_changes = [tags["RequestID"], tags_all["RequestID"]]
  }
}

resource "aws_vpc_security_group_ingress_rule" "groups" {
  for_each = local.client_groups

  security_group_id            = aws_security_group.main.id
  description                  = "PostgreSQL from ${each.value}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  tags                         = local.tags

  lifecycle {
    ignore_changes = [tags["RequestID"], tags_all["RequestID"]]
  }
}

resource "aws_db_parameter_group" "main" {
  name        = "${local.made}-${local.engine_major}"
  description = "Settings of ${local.identifier}"
  family      = "postgres${local.engine_major}"
  tags        = local.tags

  dynamic "parameter" {
    for_each = local.parameters
    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.restart_parameters, parameter.key) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [tags["RequestID"], tags_all["RequestID"]]

    precondition {
      condition     = length(local.without_unit) == 0
      error_message = "RDS takes numbers without a unit. Of these settings it is not known here which unit they are in: ${join(", ", local.without_unit)}. Write them as RDS's parameter group has them."
    }
  }
}

resource "aws_db_instance" "main" {
  identifier     = local.identifier
  engine         = "postgres"
  engine_version = local.engine_version
  instance_class = var.instance_class
  db_name        = local.is_imported ? null : local.database
  multi_az       = var.multi_az

  username            = local.username
  password_wo         = jsondecode(ephemeral.aws_secretsmanager_secret_version.credentials.secret_string).password
  password_wo_version = aws_secretsmanager_secret_version.credentials.secret_string_wo_version

  storage_type      = "gp3"
  allocated_storage = var.storage_gb
  storage_encrypted = try(local.found.storage_encrypted, true)
  kms_key_id        = local.is_imported ? null : lookup(local.settings, "kms_key_arn", null)

  db_subnet_group_name   = local.is_imported ? null : aws_db_subnet_group.main[0].name
  vpc_security_group_ids = [aws_security_group.main.id]
  parameter_group_name   = aws_db_parameter_group.main.name
  publicly_accessible    = false

  backup_retention_period   = var.backup_retention_days
  copy_tags_to_snapshot     = true
  skip_final_snapshot       = !local.final_snapshot
  final_snapshot_identifier = local.final_snapshot ? "${local.made}-final" : null

  # Who asks for a change expects it now, not in a night of next week.
  apply_immediately               = true
  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql"]

  tags = local.tags

  lifecycle {
    ignore_changes = [tags["RequestID"], tags_all["RequestID"]]

    precondition {
      condition     = length(local.unfit) == 0
      error_message = "${local.identifier} cannot be imported: ${join("; ", local.unfit)}."
    }
  }
}

# The logins are made before the database and read from here by it, so that an
# apply that died between the two is gone on with under the same password.
resource "aws_secretsmanager_secret" "credentials" {
  name                    = "roadbed/${var.environment}/${local.made}"
  description             = "The owner's login to ${local.identifier}"
  kms_key_id              = lookup(local.settings, "kms_key_arn", null)
  recovery_window_in_days = local.recovery_window
  tags                    = local.tags

  lifecycle {
    ignore_changes = [tags["RequestID"], tags_all["RequestID"]]
  }
}

ephemeral "aws_secretsmanager_random_password" "owner" {
  password_length     = 32
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret_version" "credentials" {
  secret_id                = aws_secretsmanager_secret.credentials.id
  secret_string_wo_version = var.roadbed.credentials_version
  secret_string_wo = jsonencode({
    username = local.username
    password = ephemeral.aws_secretsmanager_random_password.owner.random_password
    dbname   = local.database
    engine   = "postgres"
    port     = 5432
  })

  # The new password stands before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}

ephemeral "aws_secretsmanager_secret_version" "credentials" {
  secret_id = aws_secretsmanager_secret_version.credentials.secret_id
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = local.made
  dashboard_body = jsonencode({
    widgets = [for i, metric in local.dashboard : {
      type   = "metric"
      x      = i % 2 * 12
      y      = floor(i / 2) * 6
      width  = 12
      height = 6
      properties = {
        title   = metric.title
        region  = var.roadbed.region
        metrics = [for name in metric.names : ["AWS/RDS", name, "DBInstanceIdentifier", local.identifier]]
        stat    = metric.stat
        period  = 300
      }
    }]
  })
}
