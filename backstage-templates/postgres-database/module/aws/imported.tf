# A database that was there already: what of it stays as it is, and what keeps
# it from being taken over.

locals {
  imported    = lookup(var.roadbed.imported, "aws_db_instance.main", "")
  is_imported = local.imported != ""

  # Null when nothing was imported, or when it is there no more.
  found = try(one(values(data.aws_db_instance.imported)), null)

  # What is ours already is held to nothing here: drift is for its owner to judge.
  incoming = try(contains(keys(local.found.tags), "RoadbedInstance"), true) ? null : local.found

  unfit = local.incoming == null ? [] : compact([
    local.incoming.engine == "postgres" ? "" : "it runs ${local.incoming.engine}, not postgres",
    local.incoming.replicate_source_db == "" ? "" : "it is a replica of ${local.incoming.replicate_source_db}; promote it first",
    split(".", local.incoming.engine_version)[0] == local.engine_major ? "" : "it runs PostgreSQL ${local.incoming.engine_version}, where the environment has ${local.engine_version}; upgrade it first",
    local.incoming.allocated_storage <= var.storage_gb ? "" : "it has ${local.incoming.allocated_storage} GB of storage, which can only grow; ask for that much",
    one(values(data.aws_db_subnet_group.imported)).vpc_id == local.settings.vpc_id ? "" : "it is not in the environment's network ${local.settings.vpc_id}",
  ])
}

# A list, since what is not there must not keep the rest from being destroyed.
data "aws_db_instances" "imported" {
  count = local.is_imported ? 1 : 0

  filter {
    name   = "db-instance-id"
    values = [local.imported]
  }
}

data "aws_db_instance" "imported" {
  for_each = toset(flatten(data.aws_db_instances.imported[*].instance_identifiers))

  db_instance_identifier = each.value
}

data "aws_db_subnet_group" "imported" {
  for_each = { for name, database in data.aws_db_instance.imported : name => database.db_subnet_group }

  name = each.value
}
