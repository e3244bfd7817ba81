package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// StateFiles implements provision.StateFiles.
type StateFiles struct{}

// Summary is what a plain state says, without secrets.
func (StateFiles) Summary(plain []byte) (provision.StateSummary, error) {
	state, err := ParseState(plain)
	if err != nil {
		return provision.StateSummary{}, err
	}
	return provision.StateSummary{Serial: state.Serial, Lineage: state.Lineage, Addresses: state.Addresses, Outputs: state.Outputs}, nil
}

// Without is the state without a managed resource, its serial one higher;
// NotFound when the state does not have it. Whatever else is in the state stays
// as it is, also what this code does not know of.
func (StateFiles) Without(plain []byte, resource string) ([]byte, error) {
	var file map[string]any
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("read Terraform state: %w", err)
	}
	resources, _ := file["resources"].([]any)
	var kept []any
	removed := false
	for _, entry := range resources {
		members, _ := entry.(map[string]any)
		instances, _ := members["instances"].([]any)
		rest := []any{}
		for _, instance := range instances {
			if members["mode"] == "managed" && addressOf(members, instance) == resource {
				removed = true
				continue
			}
			rest = append(rest, instance)
		}
		if len(rest) > 0 || len(instances) == 0 {
			members["instances"] = rest
			kept = append(kept, members)
		}
	}
	if !removed {
		return nil, provision.Errorf(provision.NotFound, "the state has no resource %s", resource)
	}
	state, err := ParseState(plain)
	if err != nil {
		return nil, err
	}
	file["resources"], file["serial"] = append([]any{}, kept...), state.Serial+1
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write Terraform state: %w", err)
	}
	return append(text, '\n'), nil
}

func addressOf(resource map[string]any, instance any) string {
	text := func(name string) string { value, _ := resource[name].(string); return value }
	members, _ := instance.(map[string]any)
	return address(text("module"), text("type"), text("name"), members["index_key"])
}
