package offering

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// defaultApplyTimeout is for offerings that set none: most resources are there
// in ten minutes, a large database in twenty.
const defaultApplyTimeout = 45 * time.Minute

const contractFile = "offering.yaml"

// Loaded is an offering with the files that it is made of.
type Loaded struct {
	Offering provision.Offering
	Files    map[string][]byte // the contract and the modules, by path in the folder
	root     *yaml.Node
}

// Load reads the folder called id. What is wrong but harmless comes back as
// warnings. It is NotFound when there is no such folder with an offering.yaml
// and Invalid, with every fault and its line, when the contract is broken.
func Load(fsys fs.FS, id string) (Loaded, []Problem, error) {
	files, err := readFiles(fsys, id)
	if errors.Is(err, fs.ErrNotExist) {
		return Loaded{}, nil, provision.Errorf(provision.NotFound, "there is no offering %s", id)
	}
	if err != nil {
		return Loaded{}, nil, fmt.Errorf("read offering %s: %w", id, err)
	}
	loaded, warnings, problems := parse(id, files)
	if len(problems) > 0 {
		return Loaded{}, nil, refused(id, problems)
	}
	return loaded, warnings, nil
}

// parse reads the contract; with problems there is no offering.
func parse(id string, files map[string][]byte) (loaded Loaded, warnings, problems []Problem) {
	defer func() {
		inFile(path.Join(id, contractFile), warnings)
		inFile(path.Join(id, contractFile), problems)
	}()
	var c contract
	root, problems := decode(files[contractFile], &c)
	if len(problems) > 0 {
		return Loaded{}, nil, problems
	}
	o := c.offering(id)
	o.Implementations = implementations(files)
	o.Digest = digest(files)
	if problems = append(check(o, c, root), checkPlain(c, root)...); len(problems) > 0 {
		return Loaded{}, nil, problems
	}
	schema, err := Schema(o)
	if err != nil {
		return Loaded{}, nil, []Problem{{Message: err.Error(), WayOut: "look for values that JSON cannot hold, such as .nan"}}
	}
	o.Schema = schema
	if problems = checkDefaults(o, root); len(problems) > 0 {
		return Loaded{}, nil, problems
	}
	return Loaded{Offering: o, Files: files, root: root}, warningsOf(o, c, root), nil
}

// inFile says which file the problems are in, where they do not say it.
func inFile(file string, problems []Problem) {
	for i := range problems {
		problems[i].File = or(problems[i].File, file)
	}
}

// offering is the contract in the domain's types, defaults filled in.
func (c contract) offering(id string) provision.Offering {
	o := provision.Offering{
		ID: id, Name: c.Name, Description: c.Description, Category: c.Category, Icon: c.Icon, Version: c.Version,
		Parameters: []provision.Parameter{}, Outputs: []provision.Output{}, Presets: []provision.Preset{},
		Cost: provision.CostEstimate{
			MonthlyMin: provision.Money(c.Cost.MonthlyMin), MonthlyMax: provision.Money(c.Cost.MonthlyMax),
			Formula: c.Cost.Formula, Items: c.Cost.Items,
		},
		Roles: provision.Roles{
			Name: or(c.Roles.Name, "database_name"), Environment: or(c.Roles.Environment, "environment"),
			Owner: or(c.Roles.Owner, "team_owner"), CostCenter: or(c.Roles.CostCenter, "cost_center"),
		},
		Tags: map[string]string{}, Docs: c.Docs, EscapeHatch: cmp.Or(strings.TrimSpace(c.EscapeHatch), escapeHatch),
		Drift: provision.DriftRules(c.Drift), Rotates: c.Rotates, ApplyTimeout: c.Timeouts.Apply, Expiry: c.Expiry.rules(), Preview: provision.PreviewRules{Set: c.Preview.Set, AtMost: c.Preview.AtMost},
	}
	if o.ApplyTimeout == 0 {
		o.ApplyTimeout = defaultApplyTimeout
	}
	for _, p := range c.Parameters {
		o.Parameters = append(o.Parameters, p.domain())
	}
	for _, out := range c.Outputs {
		o.Outputs = append(o.Outputs, provision.Output(out))
	}
	for _, p := range c.Presets {
		parameters := provision.Parameters{}
		for name, value := range p.Parameters {
			parameters[name] = plain(value)
		}
		o.Presets = append(o.Presets, provision.Preset{
			Name: p.Name, Title: or(p.Title, human(p.Name)), Description: p.Description, Parameters: parameters,
		})
	}
	for _, s := range c.Steps {
		o.Steps = append(o.Steps, provision.StepDefinition(s))
	}
	if len(o.Steps) == 0 {
		o.Steps = []provision.StepDefinition{
			{Name: "Validate request", Phase: "validate"},
			{Name: "Generate configuration", Phase: "plan"},
			{Name: "Create " + c.Name},
		}
	}
	for name, implementation := range c.Implementations {
		if rule := implementation.activity; rule != nil {
			if o.Activity == nil {
				o.Activity = map[string]provision.ActivityRule{}
			}
			o.Activity[name] = *rule
		}
		if rule := implementation.imports; rule != nil {
			if o.Import == nil {
				o.Import = map[string]provision.ImportRule{}
			}
			o.Import[name] = *rule
		}
		if pricing := implementation.pricing; pricing.Counted != "" {
			if o.Pricing == nil {
				o.Pricing = map[string]provision.PlanPricing{}
			}
			o.Pricing[name] = pricing
		}
	}
	for _, tags := range c.Tags {
		for key, value := range tags {
			o.Tags[key] = value
		}
	}
	return o
}

func (p parameter) domain() provision.Parameter {
	d := provision.Parameter{
		Name: p.Name, Title: or(p.Title, human(p.Name)), Type: p.Type, Required: p.Required, Default: plain(p.Default),
		Pattern: p.Pattern, Min: p.Min, Max: p.Max, Description: p.Description, Placeholder: p.Placeholder,
		Level: p.Level, Immutable: p.Immutable, Replaces: p.Replaces, Sensitive: p.Sensitive, Multiline: p.Multiline,
		Takes: (*provision.Taken)(p.Takes),
	}
	if d.Level == "" {
		d.Level = "advanced"
		if p.Required {
			d.Level = "basic"
		}
	}
	for _, o := range p.Options {
		d.Options = append(d.Options, provision.Option{Value: o.value, Label: o.label, MonthlyCost: o.cost})
	}
	return d
}

// implementations are the module folders that hold Terraform, sorted.
func implementations(files map[string][]byte) []string {
	names := []string{}
	for name := range files {
		parts := strings.Split(name, "/")
		if len(parts) == 3 && parts[0] == "module" && strings.HasSuffix(name, ".tf") && !slices.Contains(names, parts[1]) {
			names = append(names, parts[1])
		}
	}
	slices.Sort(names)
	return names
}

// plain is a value as decoded from YAML with its integers as int64.
func plain(value any) any {
	switch v := value.(type) {
	case int:
		return int64(v)
	case uint64:
		return float64(v) // beyond int64, so the schema refuses it
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, inner := range v {
			clean[key] = plain(inner)
		}
		return clean
	default:
		return value
	}
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// human is a name as a label: "backup_retention_days" is "Backup retention days".
func human(name string) string {
	words := strings.ReplaceAll(name, "_", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}
