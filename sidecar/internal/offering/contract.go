package offering

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// contract is offering.yaml as it is written.
type contract struct {
	Name            string              `yaml:"name"`
	Description     string              `yaml:"description"`
	Category        string              `yaml:"category"`
	Icon            string              `yaml:"icon"`
	Version         string              `yaml:"version"`
	Parameters      []parameter         `yaml:"parameters"`
	Outputs         []output            `yaml:"outputs"`
	Cost            costEstimate        `yaml:"cost_estimate"`
	Roles           roles               `yaml:"roles"`
	Presets         []preset            `yaml:"presets"`
	Implementations implementationList  `yaml:"implementations"`
	Steps           []step              `yaml:"steps"`
	Drift           drift               `yaml:"drift"`
	Rotates         bool                `yaml:"rotates"`
	Timeouts        timeouts            `yaml:"timeouts"`
	Preview         previewRules        `yaml:"preview"`
	Expiry          expiry              `yaml:"expiry"`
	Tags            []map[string]string `yaml:"tags"`
	Docs            string              `yaml:"docs"`
	EscapeHatch     string              `yaml:"escape_hatch"`
}

// implementationList is the module folders by name, alone or with how each one's
// plan is priced and its use is measured.
type implementationList map[string]implementation

// implementation is what the contract says of a module folder.
type implementation struct {
	pricing  provision.PlanPricing
	activity *provision.ActivityRule
	imports  *provision.ImportRule
}

// UnmarshalYAML reads a list of names, or a mapping of names to {price, activity}. The
// fields are read by hand, as an option's are.
func (l *implementationList) UnmarshalYAML(node *yaml.Node) error {
	*l = implementationList{}
	if node.Kind == yaml.SequenceNode {
		for _, name := range node.Content {
			(*l)[name.Value] = implementation{}
		}
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fault(node, "implementations are a list of names, or a mapping of names to their price and activity")
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		var given struct {
			Activity *activity `yaml:"activity"`
			Import   *struct {
				Of    map[string]string `yaml:"of"`
				Makes []string          `yaml:"makes"`
			} `yaml:"import"`
			Price struct {
				Counted    string                `yaml:"counted"`
				Parameters map[string]planSource `yaml:"parameters"`
				Free       []string              `yaml:"free"`
			} `yaml:"price"`
		}
		if err := strictly(node.Content[i+1], &given); err != nil {
			return err
		}
		pricing := provision.PlanPricing{Counted: given.Price.Counted, Free: given.Price.Free}
		if len(given.Price.Parameters) > 0 {
			pricing.Parameters = map[string]provision.PlanSource{}
		}
		for name, source := range given.Price.Parameters {
			pricing.Parameters[name] = provision.PlanSource(source)
		}
		read := implementation{pricing: pricing, activity: (*provision.ActivityRule)(given.Activity)}
		if given.Import != nil {
			read.imports = &provision.ImportRule{Of: given.Import.Of, Makes: given.Import.Makes}
		}
		(*l)[node.Content[i].Value] = read
	}
	return nil
}

// activity is how use is measured; what it lacks, the linter says.
type activity provision.ActivityRule

// UnmarshalYAML reads days as "30d".
func (a *activity) UnmarshalYAML(node *yaml.Node) error {
	var given struct {
		Kind        string   `yaml:"kind"`
		Connection  string   `yaml:"connection"`
		Query       string   `yaml:"query"`
		Arguments   []string `yaml:"arguments"`
		Counts      string   `yaml:"counts"`
		UnusedAfter string   `yaml:"unused_after"`
		Below       *float64 `yaml:"below"`
	}
	if err := strictly(node, &given); err != nil {
		return err
	}
	number, isDays := strings.CutSuffix(given.UnusedAfter, "d")
	days, err := strconv.Atoi(number)
	if !isDays || err != nil || days < 1 || days > mostIdleDays {
		return fault(node, "unused_after is %q; write whole days, from 1d to %dd", given.UnusedAfter, mostIdleDays)
	}
	*a = activity{
		Kind: given.Kind, Connection: given.Connection, Query: given.Query, Arguments: given.Arguments,
		Counts: given.Counts, Days: days, Below: given.Below,
	}
	return nil
}

// mostIdleDays is how far back use is looked for at most.
const mostIdleDays = 90

// planSource is an attribute of the counted resource, or {of, attribute}.
type planSource provision.PlanSource

// UnmarshalYAML reads either form.
func (s *planSource) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		s.Attribute = node.Value
		return nil
	}
	var given struct {
		Of        string `yaml:"of"`
		Attribute string `yaml:"attribute"`
	}
	if err := strictly(node, &given); err != nil {
		return err
	}
	s.Of, s.Attribute = given.Of, given.Attribute
	return nil
}

type parameter struct {
	Name        string   `yaml:"name"`
	Title       string   `yaml:"title"`
	Type        string   `yaml:"type"`
	Required    bool     `yaml:"required"`
	Default     any      `yaml:"default"`
	Pattern     string   `yaml:"pattern"`
	Min         *int64   `yaml:"min"`
	Max         *int64   `yaml:"max"`
	Options     []option `yaml:"options"`
	Description string   `yaml:"description"`
	Placeholder string   `yaml:"placeholder"`
	Level       string   `yaml:"level"`
	Immutable   bool     `yaml:"immutable"`
	Replaces    bool     `yaml:"replaces"`
	Sensitive   bool     `yaml:"sensitive"`
	Multiline   bool     `yaml:"multiline"`
	Takes       *taken   `yaml:"takes"`
}

// taken is whose output a parameter takes.
type taken struct {
	Offering string `yaml:"offering"`
	Output   string `yaml:"output"`
}

type output struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description"`
}

type costEstimate struct {
	MonthlyMin dollars           `yaml:"monthly_min"`
	MonthlyMax dollars           `yaml:"monthly_max"`
	Formula    string            `yaml:"formula"`
	Items      map[string]string `yaml:"items"`
}

type roles struct {
	Name        string `yaml:"name"`
	Environment string `yaml:"environment"`
	Owner       string `yaml:"owner"`
	CostCenter  string `yaml:"cost_center"`
}

type preset struct {
	Name        string         `yaml:"name"`
	Title       string         `yaml:"title"`
	Description string         `yaml:"description"`
	Parameters  map[string]any `yaml:"parameters"`
}

type step struct {
	Name      string   `yaml:"name"`
	Phase     string   `yaml:"phase"`
	Addresses []string `yaml:"addresses"`
}

// drift says which differences are noise, and which attributes are a
// parameter's value.
type drift struct {
	Ignore []string          `yaml:"ignore"`
	Adopt  map[string]string `yaml:"adopt"`
}

// previewRules are how an instance is shrunk in an ephemeral environment.
type previewRules struct {
	Set    map[string]any   `yaml:"set"`
	AtMost map[string]int64 `yaml:"at_most"`
}

// expiry is how long instances live, as durations such as 24h.
type expiry struct {
	Default time.Duration `yaml:"default"`
	Maximum time.Duration `yaml:"maximum"`
	Grace   time.Duration `yaml:"grace"`
}

func (e expiry) rules() provision.ExpiryRules {
	return provision.ExpiryRules{
		DefaultSeconds: int64(e.Default / time.Second), MaximumSeconds: int64(e.Maximum / time.Second), GraceSeconds: int64(e.Grace / time.Second),
	}
}

type timeouts struct {
	Apply time.Duration `yaml:"apply"`
}

// option is a choice: a plain value, or a value with a label and a price.
type option struct {
	value, label string
	cost         *provision.Money
}

// UnmarshalYAML reads either form. The decoder that gets here has forgotten
// that unknown fields are refused, so the fields are read by hand.
func (o *option) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		o.value, o.label = node.Value, node.Value
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return fault(node, "an option is a value, or a mapping with value, label and monthly_cost")
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch key.Value {
		case "value":
			o.value = value.Value
		case "label":
			o.label = value.Value
		case "monthly_cost":
			var d dollars
			if err := d.UnmarshalYAML(value); err != nil {
				return err
			}
			money := provision.Money(d)
			o.cost = &money
		default:
			return fault(key, "an option has no field %s; it has value, label and monthly_cost", key.Value)
		}
	}
	if o.label == "" {
		o.label = o.value
	}
	return nil
}

// dollars is an amount read from its text, since a float would have lost it.
type dollars provision.Money

// UnmarshalYAML reads a decimal of at most three places.
func (d *dollars) UnmarshalYAML(node *yaml.Node) error {
	money, err := provision.ParseMoney(node.Value)
	if err != nil {
		return fault(node, "%s", err.Error())
	}
	if money < 0 {
		return fault(node, "%s is negative", node.Value)
	}
	*d = dollars(money)
	return nil
}

var (
	linePattern    = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownPattern = regexp.MustCompile(`^field (\S+) not found in type \S+$`)
	typePattern    = regexp.MustCompile("^cannot unmarshal \\S+ ?(`.*`)? ?into (.*)$")
)
