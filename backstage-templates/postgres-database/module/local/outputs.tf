output "endpoint" {
  description = "Database connection endpoint"
  value       = local.host
}

output "port" {
  description = "Database port"
  value       = local.port
}

output "db_instance_id" {
  description = "What the database is called where it is made"
  value       = postgres_database.main.name
}

output "credentials_secret_arn" {
  description = "Reference under which the credentials are handed out, to their owners only"
  value       = terraform_data.credentials.output.reference
}

output "last_snapshot" {
  description = "Where a last snapshot is kept once the database is destroyed; empty where none is"
  value       = local.final_snapshot == null ? "" : local.final_snapshot
}

output "monitoring_dashboard" {
  description = "Connection string of the read-only monitoring role, without its password"
  value       = local.monitoring
}

output "credentials" {
  description = "The logins themselves, for the platform to seal"
  sensitive   = true
  value = {
    username         = postgres_role.owner.name
    password         = postgres_role.owner.password
    database         = postgres_database.main.name
    host             = local.host
    port             = local.port
    monitor_username = postgres_role.monitor.name
    monitor_password = postgres_role.monitor.password
  }
}
