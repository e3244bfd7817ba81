terraform {
  # The password is write-only: it is in no plan and no state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

# Credentials come from the worker. With an account named, those of any other
# are refused; with a role, it is taken on.
provider "aws" {
  region              = var.roadbed.region
  allowed_account_ids = var.roadbed.account == "" ? null : [var.roadbed.account]

  dynamic "assume_role" {
    for_each = compact([lookup(var.roadbed.settings, "role_arn", "")])
    content {
      role_arn     = assume_role.value
      session_name = "roadbed-${var.roadbed.short_id}"
    }
  }
}
