package terraform

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-exec/tfexec"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// stateAlone are providers whose resources are nowhere but in state: to import
// one would invent its value.
var stateAlone = []string{"random", "tls", "time", "null", "terraform"}

// InStateAlone reports whether a resource is nowhere but in state.
func InStateAlone(address string) bool {
	parts := strings.Split(address, ".")
	for len(parts) > 2 && parts[0] == "module" {
		parts = parts[2:] // an index with a dot in it only leads to a type that nobody has
	}
	provider, _, _ := strings.Cut(parts[0], "_")
	return slices.Contains(stateAlone, provider)
}

// cannotImport are the beginnings of complaints which say that there is nothing
// to import, or no way to.
var cannotImport = []string{"Error: Cannot import non-existent remote object", "Error: Resource Import Not Implemented", "Error: resource address"}

// Import takes an existing resource into the state in the working directory. ok
// is false when it does not exist, cannot be imported or is not in the module.
func (r *Run) Import(ctx context.Context, address, id string) (ok bool, err error) {
	err = r.planner.Import(ctx, address, id, tfexec.Lock(false))
	r.planner.SetStdout(io.Discard)
	if err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("import %s: %w", address, context.Cause(ctx))
	}
	for _, complaint := range cannotImport {
		if strings.Contains(err.Error(), complaint) {
			return false, nil
		}
	}
	return false, &Failure{Phase: "plan", cause: r.said(err), Diagnostics: []Diagnostic{{
		Severity: "error", Address: address, Summary: "What an earlier run made could not be imported", Detail: r.redactor.Text(strings.TrimSpace(err.Error())),
	}}}
}

// WriteImports says in the working directory what the plan is to import; what
// state has already it leaves alone.
func (r *Run) WriteImports(resources []provision.Imported) error {
	// An id is data: without this Terraform would read a template in it.
	literal := strings.NewReplacer("${", "$${", "%{", "%%{")
	blocks := make([]map[string]string, len(resources))
	for i, resource := range resources {
		blocks[i] = map[string]string{"to": resource.Address, "id": literal.Replace(resource.ID)}
	}
	return r.writeJSON("roadbed_import.tf.json", map[string]any{"import": blocks})
}
