package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
)

// State is what a Terraform state file says, as far as Roadbed needs it.
type State struct {
	Serial    int64
	Lineage   string
	Outputs   map[string]any // non-sensitive ones only
	Addresses []string       // managed resources, in the file's order

	secrets []any
	all     map[string]any
}

// secretName is how an attribute looks whose provider forgot to call it
// sensitive. It only widens what a Redactor hides.
var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|private_key|credential|connection_string|dsn)`)

type stateFile struct {
	Version int               `json:"version"`
	Serial  int64             `json:"serial"`
	Lineage string            `json:"lineage"`
	Outputs map[string]output `json:"outputs"`

	Resources []struct {
		Module    string `json:"module"`
		Mode      string `json:"mode"`
		Type      string `json:"type"`
		Name      string `json:"name"`
		Instances []struct {
			Key        any            `json:"index_key"`
			Attributes map[string]any `json:"attributes"`
			Sensitive  [][]pathStep   `json:"sensitive_attributes"`
		} `json:"instances"`
	} `json:"resources"`
}

type output struct {
	Value     any  `json:"value"`
	Sensitive bool `json:"sensitive"`
}

type pathStep struct {
	Kind  string `json:"type"`
	Value any    `json:"value"`
}

// ParseState reads a state file of version 4. A file that is half written is an
// error.
func ParseState(raw []byte) (State, error) {
	var file stateFile
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&file); err != nil {
		return State{}, fmt.Errorf("read Terraform state: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return State{}, errors.New("read Terraform state: something follows its end")
	}
	if file.Version != 4 || file.Lineage == "" {
		return State{}, fmt.Errorf("read Terraform state: format version %d with lineage %q is not understood", file.Version, file.Lineage)
	}
	state := State{Serial: file.Serial, Lineage: file.Lineage, Outputs: map[string]any{}, all: map[string]any{}}
	for _, name := range slices.Sorted(maps.Keys(file.Outputs)) {
		out := file.Outputs[name]
		state.all[name] = out.Value
		if out.Sensitive {
			state.secrets = append(state.secrets, out.Value)
			continue
		}
		state.Outputs[name] = out.Value
	}
	for _, resource := range file.Resources {
		for _, instance := range resource.Instances {
			if resource.Mode == "managed" {
				state.Addresses = append(state.Addresses, address(resource.Module, resource.Type, resource.Name, instance.Key))
			}
			for _, path := range instance.Sensitive {
				state.secrets = append(state.secrets, follow(instance.Attributes, path))
			}
			state.secrets = appendNamedSecrets(state.secrets, instance.Attributes)
		}
	}
	return state, nil
}

// AllOutputs are its outputs, secret ones included. They are for use on the
// worker and never leave it.
func (s State) AllOutputs() map[string]any { return s.all }

// Hide makes every sensitive value of the state a secret of r.
func (s State) Hide(r *Redactor) { r.Add(s.secrets) }

func address(module, kind, name string, key any) string {
	at := kind + "." + name
	if module != "" {
		at = module + "." + at
	}
	switch k := key.(type) {
	case string:
		return fmt.Sprintf("%s[%q]", at, k)
	case json.Number:
		return fmt.Sprintf("%s[%s]", at, k)
	}
	return at
}

// follow is the value at a path. A value of dynamic type stands in the file as
// {"value": …, "type": …}, which the path leaves out. Where the path leads
// nowhere the nearest value is taken: rather too much hidden than too little.
func follow(value any, path []pathStep) any {
	for _, step := range path {
		next, ok := enter(value, step.Value)
		if !ok {
			if wrapped, is := value.(map[string]any); is {
				if inner, has := wrapped["value"]; has && wrapped["type"] != nil {
					next, ok = enter(inner, step.Value)
				}
			}
		}
		if !ok {
			return value
		}
		value = next
	}
	return value
}

func enter(value, key any) (any, bool) {
	if named, ok := key.(map[string]any); ok {
		key = named["value"] // an index step is {"value": …, "type": …}
	}
	switch v := value.(type) {
	case map[string]any:
		name, ok := key.(string)
		if !ok {
			return nil, false
		}
		member, ok := v[name]
		return member, ok
	case []any:
		number, ok := key.(json.Number)
		if !ok {
			return nil, false
		}
		i, err := number.Int64()
		if err != nil || i < 0 || int(i) >= len(v) {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}

func appendNamedSecrets(secrets []any, value any) []any {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			if text, ok := member.(string); ok && secretName.MatchString(key) {
				secrets = append(secrets, text)
				continue
			}
			secrets = appendNamedSecrets(secrets, member)
		}
	case []any:
		for _, member := range v {
			secrets = appendNamedSecrets(secrets, member)
		}
	}
	return secrets
}
