# How PostgreSQL's settings are said to RDS, and what the dashboard shows.

locals {
  engine_major = split(".", local.engine_version)[0]

  # What each of RDS's numbers counts, by PostgreSQL's own pg_settings.unit.
  # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Parameters.html
  units = merge(
    { for name in ["work_mem", "maintenance_work_mem", "autovacuum_work_mem", "logical_decoding_work_mem", "temp_file_limit"] : name => local.kilobytes },
    { for name in ["shared_buffers", "effective_cache_size", "temp_buffers"] : name => { for unit, factor in local.kilobytes : unit => factor / 8 } },
    { for name in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "deadlock_timeout", "log_min_duration_statement"] : name => local.milliseconds },
  )
  kilobytes    = { kB = 1, MB = 1024, GB = 1048576 }
  milliseconds = { ms = 1, s = 1000, min = 60000, h = 3600000 }

  # [number, unit], or nothing where there is no unit.
  measured = {
    for name, value in var.custom_parameters : name => try(regex("^([0-9]+) ?(kB|MB|GB|ms|s|min|h)$", value), [])
  }
  parameters = {
    for name, value in var.custom_parameters : name => (
      length(local.measured[name]) == 0 ? value : tostring(floor(try(tonumber(local.measured[name][0]) * local.units[name][local.measured[name][1]], 0)))
    )
  }
  without_unit = [for name, found in local.measured : name if length(found) > 0 && !can(local.units[name][found[1]])]

  # These are read when the server starts; a reboot is for the owner to choose.
  restart_parameters = [
    "autovacuum_freeze_max_age", "autovacuum_max_workers", "max_connections", "max_locks_per_transaction", "max_prepared_transactions",
    "max_replication_slots", "max_wal_senders", "max_worker_processes", "rds.logical_replication", "shared_buffers",
    "shared_preload_libraries", "track_activity_query_size", "wal_buffers",
  ]

  dashboard = [
    { title = "CPU (%)", names = ["CPUUtilization"], stat = "Average" },
    { title = "Connections", names = ["DatabaseConnections"], stat = "Maximum" },
    { title = "Free storage (bytes)", names = ["FreeStorageSpace"], stat = "Minimum" },
    { title = "Free memory (bytes)", names = ["FreeableMemory"], stat = "Minimum" },
    { title = "Reads and writes (a second)", names = ["ReadIOPS", "WriteIOPS"], stat = "Average" },
    { title = "Latency (s)", names = ["ReadLatency", "WriteLatency"], stat = "Average" },
  ]
}
