// Package terraform does one Terraform run in one directory: it finds a binary,
// prepares an offering's module once, plans to a saved file, applies exactly
// that file, and reads what the state says. It wraps hashicorp/terraform-exec
// and works with Terraform and OpenTofu alike.
//
// It must not know of leases, reports, the sidecar or who asked: package worker
// does. It never renders a parameter into Terraform's language: parameters
// travel as JSON data alone, so that no text of a user's is ever code.
//
// Secrets pass through here in clear (variables, state). Whatever leaves the
// package for people to read goes through a Redactor or has its sensitive
// values taken out: changes, events, diagnostics.
package terraform
