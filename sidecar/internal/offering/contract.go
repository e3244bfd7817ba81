package offering

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// strictly decodes a node without unknown fields, for what is read by hand.
func strictly(node *yaml.Node, target any) error {
	text, err := yaml.Marshal(node)
	if err != nil {
		return fault(node, "%s", err.Error())
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(target); err != nil {
		problems := yamlProblems(err)
		return fault(node, "%s", problems[0].Message)
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

// fault is an error that the decoder collects instead of stopping at it.
func fault(node *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %s", node.Line, fmt.Sprintf(format, args...))}}
}

var (
	linePattern    = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	unknownPattern = regexp.MustCompile(`^field (\S+) not found in type \S+$`)
	typePattern    = regexp.MustCompile("^cannot unmarshal \\S+ ?(`.*`)? ?into (.*)$")
)

// decode reads one strict YAML document into target and gives every fault with
// its line.
func decode(text []byte, target any) (*yaml.Node, []Problem) {
	root := &yaml.Node{}
	if err := yaml.Unmarshal(text, root); err != nil {
		return root, yamlProblems(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(target); err != nil {
		if errors.Is(err, io.EOF) {
			return root, []Problem{{Message: "the file is empty"}}
		}
		return root, yamlProblems(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return root, []Problem{{Message: "the file has more than one document", WayOut: "keep the first"}}
	}
	return root, nil
}

func yamlProblems(err error) []Problem {
	texts := []string{err.Error()}
	var many *yaml.TypeError
	if errors.As(err, &many) {
		texts = many.Errors
	}
	var problems []Problem
	for _, text := range texts {
		problem := Problem{Message: strings.TrimPrefix(text, "yaml: ")}
		if m := linePattern.FindStringSubmatch(text); m != nil {
			problem.Line, _ = strconv.Atoi(m[1])
			problem.Message = m[2]
		}
		if m := unknownPattern.FindStringSubmatch(problem.Message); m != nil {
			problem.Message, problem.WayOut = fmt.Sprintf("there is no field %s here", m[1]), "check its spelling and its indentation"
		}
		if m := typePattern.FindStringSubmatch(problem.Message); m != nil {
			problem.Message = strings.TrimSpace(strings.ReplaceAll(m[1], "`", `"`) + " is not " + kindOfGo(m[2]))
		}
		problems = append(problems, problem)
	}
	return problems
}

func kindOfGo(name string) string {
	switch {
	case name == "int64":
		return "a whole number"
	case name == "bool":
		return "true or false"
	case name == "time.Duration":
		return "a duration such as 30m"
	case name == "string":
		return "a text"
	case strings.HasPrefix(name, "[]"):
		return "a list"
	default:
		return "a mapping"
	}
}

// lineOf is where a key or list entry of a decoded file stands, as far as the
// path can be followed.
func lineOf(root *yaml.Node, path ...any) int {
	node := root
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	line := node.Line
	for _, part := range path {
		next := child(node, part)
		if next == nil {
			return line
		}
		if node, line = next, next.Line; node.Kind == yaml.AliasNode {
			node = node.Alias
		}
	}
	return line
}

func child(node *yaml.Node, part any) *yaml.Node {
	switch part := part.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && part < len(node.Content) {
			return node.Content[part]
		}
	case string:
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				// The key's line: a block value starts on the next one.
				value := *node.Content[i+1]
				value.Line = node.Content[i].Line
				return &value
			}
		}
	}
	return nil
}
