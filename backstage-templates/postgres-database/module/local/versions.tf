terraform {
  required_version = ">= 1.9"

  required_providers {
    postgres = {
      source  = "roadbed/postgres"
      version = "0.1.0"
    }
  }
}

# The server comes from ROADBED_POSTGRES_DSN, which only workers have.
provider "postgres" {}
