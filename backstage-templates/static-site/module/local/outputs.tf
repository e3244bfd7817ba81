output "url" {
  description = "Address of the page"
  value       = "file://${join("/", [for part in split("/", local_file.index.filename) : replace(urlencode(part), "+", "%20")])}"
}

output "path" {
  description = "Where the page is on disk"
  value       = local_file.index.filename
}

output "message" {
  description = "Text of the page, word for word"
  value       = terraform_data.content.output.message
}
