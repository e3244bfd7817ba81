// Command terraform-provider-postgres is the plugin process that Terraform
// starts for resources of registry.terraform.io/roadbed/postgres. It is not run
// by hand.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"roadbed.dev/roadbed/deploy/providers/internal/postgres"
)

// version is set by the linker (see ../build), so that the mirror's folder and
// the binary cannot disagree.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger and print how to attach Terraform to it")
	flag.Parse()
	err := providerserver.Serve(context.Background(), postgres.New(version), providerserver.ServeOpts{
		Address: postgres.Address,
		Debug:   *debug,
	})
	if err != nil {
		log.Fatal(err)
	}
}
