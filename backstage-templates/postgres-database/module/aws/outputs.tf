output "endpoint" {
  description = "Database connection endpoint"
  value       = aws_db_instance.main.address
}

output "port" {
  description = "Database port"
  value       = aws_db_instance.main.port
}

output "db_instance_id" {
  description = "What the database is called where it is made"
  value       = aws_db_instance.main.identifier
}

output "credentials_secret_arn" {
  description = "Reference under which the credentials are handed out, to their owners only"
  value       = aws_secretsmanager_secret.credentials.arn
}

output "last_snapshot" {
  description = "Where a last snapshot is kept once the database is destroyed; empty where none is"
  value       = local.final_snapshot ? "${local.identifier}-final" : ""
}

output "monitoring_dashboard" {
  description = "Where the database is monitored"
  value       = "https://${var.roadbed.region}.console.aws.amazon.com/cloudwatch/home?region=${var.roadbed.region}#dashboards:name=${local.made}"
}
