// Command terraform-provider-postgres is the plugin process that Terraform
// starts for resources of registry.terraform.io/roadbed/postgres. It is not run
// by hand.
package main

import (
	"log"

	"roadbed.dev/roadbed/deploy/providers/internal/postgres"
)

// version is set by the linker (see ../build), so that the mirror's folder and
// the binary cannot disagree.
var version = "dev"

func main() {
	if err := postgres.Serve(version); err != nil {
		log.Fatal(err)
	}
}
