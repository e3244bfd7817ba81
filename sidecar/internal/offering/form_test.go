package offering_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var update = flag.Bool("update", false, "rewrite the forms in backstage-templates")

func TestTheFormsAreMadeFromTheContracts(t *testing.T) {
	tree := filepath.Join("..", "..", "..", "backstage-templates")
	if *update {
		if _, err := offering.WriteForms(tree); err != nil {
			t.Fatal(err)
		}
	}
	catalog, err := offering.Open(os.DirFS(tree), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range catalog.Offerings() {
		want, err := offering.Template(o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(tree, o.ID, "template.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("the form of %s is stale; run with -update (-want +got):\n%s", o.ID, diff)
		}
	}
}

func TestWritingFormsAgainChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, folder("postgres-database", map[string]string{"offering.yaml": document(t)})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		changed, err := offering.WriteForms(dir)
		if err != nil || len(changed) != want {
			t.Errorf("changed = %v, %v; want %d", changed, err, want)
		}
	}
}

// form is the part of a template that the tests look at.
type form struct {
	Metadata struct{ Name, Title string }
	Spec     struct {
		Parameters []struct {
			Title      string
			Required   []string
			Properties map[string]map[string]any
			Field      string         `yaml:"ui:field"`
			Options    map[string]any `yaml:"ui:options"`
		}
		Steps []struct {
			ID, Action string
			Input      map[string]any
		}
		Output struct{ Links []map[string]string }
	}
}

func formOf(t *testing.T, id string) form {
	t.Helper()
	_, o := builtin(t, id)
	text, err := offering.Template(o)
	if err != nil {
		t.Fatal(err)
	}
	var f form
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheDatabaseFormAsksLittleAtFirst(t *testing.T) {
	f := formOf(t, "postgres-database")
	if f.Metadata.Name != "postgres-database" || len(f.Spec.Parameters) != 3 {
		t.Fatalf("form = %+v", f)
	}
	basic := f.Spec.Parameters[0]
	if diff := cmp.Diff([]string{"database_name", "environment", "team_owner", "cost_center"}, basic.Required); diff != "" || len(basic.Properties) != 4+2 {
		t.Errorf("first page differs (-want +got):\n%s", diff)
	}
	for name, placeholder := range map[string]string{"database_name": "my-service-db", "team_owner": "backend-team", "cost_center": "CC-1234"} {
		if got := basic.Properties[name]["ui:placeholder"]; got != placeholder {
			t.Errorf("placeholder of %s = %v, want %s", name, got, placeholder)
		}
	}
	if got := basic.Properties["database_name"]["description"]; got != "Lowercase letters, numbers, and hyphens only" {
		t.Errorf("help of the name = %v", got)
	}
	if got := basic.Properties["team_owner"]["ui:field"]; got != "MyGroupsPicker" {
		t.Errorf("owner's field = %v", got)
	}
	initial := map[string]any{}
	for _, page := range f.Spec.Parameters {
		for name, field := range page.Properties {
			if value, ok := field["default"]; ok {
				initial[name] = value
			}
		}
	}
	want := map[string]any{
		"environment": "dev", "instance_class": "db.t3.medium", "storage_gb": 100,
		"backup_retention_days": 7, "multi_az": false, "custom_parameters": map[string]any{},
	}
	if diff := cmp.Diff(want, initial); diff != "" {
		t.Errorf("initial values differ (-want +got):\n%s", diff)
	}
	class := f.Spec.Parameters[1].Properties["instance_class"]
	if labels, ok := class["enumNames"].([]any); !ok || labels[0] != "Small (2 vCPU, 2GB RAM) - $30/month" {
		t.Errorf("labels = %v", class["enumNames"])
	}
	storage := f.Spec.Parameters[1].Properties["storage_gb"]
	if storage["minimum"] != 20 || storage["maximum"] != 1000 {
		t.Errorf("storage = %v", storage)
	}
	step := f.Spec.Steps[0]
	if step.ID != "request" || step.Action != "roadbed:request" || step.Input["offering"] != "postgres-database" {
		t.Errorf("step = %+v", step)
	}
	if f.Spec.Output.Links[0]["url"] != "${{ steps.request.output.requestUrl }}" || f.Spec.Output.Links[1]["entityRef"] != "${{ steps.request.output.entityRef }}" {
		t.Errorf("links = %v", f.Spec.Output.Links)
	}
}

func TestOnlyParametersAreSubmitted(t *testing.T) {
	for _, id := range []string{"postgres-database", "static-site"} {
		_, o := builtin(t, id)
		want := map[string]any{}
		for _, p := range o.Parameters {
			want[p.Name] = "${{ parameters." + p.Name + " }}"
		}
		if diff := cmp.Diff(want, formOf(t, id).Spec.Steps[0].Input["parameters"]); diff != "" {
			t.Errorf("what %s submits differs (-want +got):\n%s", id, diff)
		}
	}
}

func TestTheFormAsksHowLongOnlyWhereAnOfferingSaysThatItsInstancesEnd(t *testing.T) {
	_, o := builtin(t, "postgres-database")
	formWith := func(rules provision.ExpiryRules) (step map[string]any, field map[string]any) {
		t.Helper()
		o.Expiry = rules
		text, err := offering.Template(o)
		if err != nil {
			t.Fatal(err)
		}
		var f form
		if err := yaml.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		return f.Spec.Steps[0].Input, f.Spec.Parameters[1].Properties["roadbedExpiresIn"]
	}
	step, field := formWith(provision.ExpiryRules{MaximumSeconds: 7 * 24 * 3600, DefaultSeconds: 24 * 3600})
	if diff := cmp.Diff([]any{"4h", "24h", "3d", "7d"}, field["enum"]); diff != "" || step["expiresIn"] != "${{ parameters.roadbedExpiresIn }}" {
		t.Errorf("the form offers (-want +got):\n%s and submits %v", diff, step["expiresIn"])
	}
	if help, _ := field["description"].(string); !strings.Contains(help, "Without a choice it lives 1d.") {
		t.Errorf("its help is %q, want what holds without a choice", help)
	}
	if step, field := formWith(provision.ExpiryRules{}); field != nil || step["expiresIn"] != nil {
		t.Errorf("an offering without an end asks %v and submits %v", field, step["expiresIn"])
	}
}

func TestEveryPageEndsWithPriceAndPolicy(t *testing.T) {
	for _, id := range []string{"postgres-database", "static-site"} {
		pages := formOf(t, id).Spec.Parameters
		for i, page := range pages {
			if page.Field != "RoadbedPage" || page.Options["offering"] != id {
				t.Errorf("page %q of %s is a %q with options %v", page.Title, id, page.Field, page.Options)
			}
			options, _ := page.Properties["roadbedVerdict"]["ui:options"].(map[string]any)
			if final := options["final"] == true; final != (i == len(pages)-1) {
				t.Errorf("page %q of %s: final = %v", page.Title, id, final)
			}
			if _, offered := page.Properties["roadbedPresets"]; offered != (i == 0) {
				t.Errorf("page %q of %s: presets offered = %v", page.Title, id, offered)
			}
		}
	}
}

func TestLongTextGetsATextArea(t *testing.T) {
	if got := formOf(t, "static-site").Spec.Parameters[0].Properties["message"]["ui:widget"]; got != "textarea" {
		t.Errorf("widget = %v, want textarea", got)
	}
}

func TestTheReferencePageTellsPricesPresetsAndResults(t *testing.T) {
	_, o := builtin(t, "postgres-database")
	page := string(offering.Reference(o))
	for _, want := range []string{
		"# PostgreSQL Database", "| `storage_gb` | integer | `100` | 20 to 1000 | Storage size in GB |",
		"| `db.t3.large` | Large (2 vCPU, 8GB RAM) - $120/month | $120.00 |", "From $32.70 to $2,130.00 a month",
		"| Small | Development and testing | `instance_class: db.t3.small`, `storage_gb: 50` | $42.75 |", "5. Store credentials", "| `endpoint` |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

func TestThePagesForPeopleHaveTheRealPrices(t *testing.T) {
	catalog, err := offering.Open(templates.FS, prices(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range catalog.Offerings() {
		text, err := templates.FS.ReadFile(o.ID + "/README.md")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{o.Cost.MonthlyMin.String(), o.Cost.MonthlyMax.String()}
		for _, p := range o.Presets {
			want = append(want, "| "+p.MonthlyCost.String()+" |")
		}
		for _, price := range want {
			if !strings.Contains(string(text), price) {
				t.Errorf("the README of %s does not say %s", o.ID, price)
			}
		}
	}
}

func TestFlagsFollowTheParameters(t *testing.T) {
	_, o := builtin(t, "postgres-database")
	flags := map[string]offering.Flag{}
	for _, f := range offering.Flags(o) {
		flags[f.Name] = f
	}
	want := offering.Flag{Name: "storage-gb", Parameter: "storage_gb", Type: "integer", Default: "100", Help: "Storage size in GB"}
	if diff := cmp.Diff(want, flags["storage-gb"]); diff != "" {
		t.Errorf("flag differs (-want +got):\n%s", diff)
	}
	if f := flags["environment"]; !f.Required || len(f.Choices) != 3 {
		t.Errorf("environment = %+v", f)
	}
}

func TestTheLocationListsEveryForm(t *testing.T) {
	text, err := templates.FS.ReadFile("catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var location struct {
		Kind string
		Spec struct{ Targets []string }
	}
	if err := yaml.Unmarshal(text, &location); err != nil {
		t.Fatal(err)
	}
	catalog, err := offering.Open(templates.FS, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range catalog.Offerings() {
		want = append(want, "./"+o.ID+"/template.yaml")
	}
	if diff := cmp.Diff(want, location.Spec.Targets); diff != "" || location.Kind != "Location" {
		t.Errorf("targets differ (-want +got):\n%s", diff)
	}
}

func TestThePlainFormNeedsNoneOfOurPlugins(t *testing.T) {
	catalog, err := offering.Open(templates.FS, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range catalog.Offerings() {
		text, err := offering.PlainTemplate(o)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "ui:field: Roadbed") {
			t.Errorf("%s has a field of ours:\n%s", o.ID, text)
		}
		var form struct {
			Spec struct {
				Parameters []struct {
					Properties map[string]any `yaml:"properties"`
				} `yaml:"parameters"`
				Steps []struct {
					Action string         `yaml:"action"`
					Input  map[string]any `yaml:"input"`
				} `yaml:"steps"`
			} `yaml:"spec"`
		}
		if err := yaml.Unmarshal(text, &form); err != nil {
			t.Fatalf("%s: %v", o.ID, err)
		}
		fields := map[string]any{}
		for _, page := range form.Spec.Parameters {
			for name, field := range page.Properties {
				fields[name] = field
			}
		}
		for _, p := range o.Parameters {
			if fields[p.Name] == nil {
				t.Errorf("%s does not ask for %s", o.ID, p.Name)
			}
		}
		if len(fields) != len(o.Parameters) {
			t.Errorf("%s asks for %d fields, want the %d parameters alone", o.ID, len(fields), len(o.Parameters))
		}
		var actions []string
		for _, step := range form.Spec.Steps {
			actions = append(actions, step.Action)
		}
		if want := []string{"roadbed:submit", "debug:log", "roadbed:expect-accepted"}; !cmp.Equal(actions, want) {
			t.Errorf("%s runs %v, want %v", o.ID, actions, want)
		}
		if form.Spec.Steps[0].Input["requestKey"] != "${{ context.task.id }}" {
			t.Errorf("%s asks anew whenever its step is repeated: %v", o.ID, form.Spec.Steps[0].Input)
		}
	}
}
