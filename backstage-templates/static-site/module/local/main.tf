# A page in a directory that a web server serves, or that a person opens.

locals {
  directory = "${trimsuffix(var.roadbed.settings["sites_directory"], "/")}/${var.site_name}-${var.roadbed.short_id}"

  # HTML's five, the ampersand first, since the others bring new ones.
  escaped = {
    for name, text in { title = var.title, message = var.message, database = var.database } : name =>
    replace(replace(replace(replace(replace(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;"), "\"", "&quot;"), "'", "&#39;")
  }

  # The request's own id would make every later request a change.
  tags = { for key, value in var.roadbed.tags : key => value if value != var.roadbed.request_id }
}

# What the page was made from, word for word, and what goes with it.
resource "terraform_data" "content" {
  input = {
    title            = var.title
    message          = var.message
    visits_per_month = var.visits_per_month
    environment      = var.environment
    region           = var.roadbed.region
    team_owner       = var.team_owner
    cost_center      = var.cost_center
    tags             = local.tags
  }
}

resource "local_file" "index" {
  filename             = "${local.directory}/index.html"
  file_permission      = "0644"
  directory_permission = "0755"
  content              = templatefile("${path.module}/index.html.tftpl", local.escaped)
}
