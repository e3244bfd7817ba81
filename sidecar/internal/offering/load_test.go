package offering_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// folder is a tree with one offering.
func folder(id string, files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[id+"/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return tree
}

func document(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/document.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheFoundingFileLoadsAsItStands(t *testing.T) {
	loaded, warnings, err := offering.Load(folder("postgres-database", map[string]string{"offering.yaml": document(t)}), "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	o := loaded.Offering
	if o.ID != "postgres-database" || o.Name != "PostgreSQL Database" || o.Category != "databases" || o.Icon != "postgresql" || o.Version != "1.2.0" {
		t.Errorf("offering = %s, %s, %s, %s, %s", o.ID, o.Name, o.Category, o.Icon, o.Version)
	}
	var names []string
	for _, p := range o.Parameters {
		names = append(names, p.Name+" "+p.Type+" "+p.Level)
	}
	want := []string{
		"database_name string basic", "environment enum basic", "instance_class enum advanced", "storage_gb integer advanced",
		"backup_retention_days integer advanced", "multi_az boolean advanced", "team_owner string basic", "cost_center string basic",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("parameters differ (-want +got):\n%s", diff)
	}
	environment, _ := o.Parameter("environment")
	if diff := cmp.Diff([]provision.Option{{Value: "dev", Label: "dev"}, {Value: "staging", Label: "staging"}, {Value: "prod", Label: "prod"}}, environment.Options); diff != "" {
		t.Errorf("plain options differ (-want +got):\n%s", diff)
	}
	class, _ := o.Parameter("instance_class")
	if class.Options[0].Label != "Small (2 vCPU, 2GB RAM) - $30/month" || class.Options[0].Value != "db.t3.small" {
		t.Errorf("labelled option = %+v", class.Options[0])
	}
	wantTags := map[string]string{"managed-by": "platform", "service-type": "database", "database-engine": "postgres"}
	if diff := cmp.Diff(wantTags, o.Tags); diff != "" {
		t.Errorf("tags differ (-want +got):\n%s", diff)
	}
	if o.Cost.MonthlyMin != 30*provision.Dollar || o.Cost.MonthlyMax != 300*provision.Dollar || len(o.Outputs) != 4 {
		t.Errorf("cost = %+v, outputs = %+v", o.Cost, o.Outputs)
	}
	if !strings.HasPrefix(o.Digest, "sha256:") || len(o.Schema) == 0 {
		t.Errorf("digest = %q, schema = %s", o.Digest, o.Schema)
	}
	for _, about := range []string{"no module", "no steps", "final or doubled hyphen", "instance_class have no monthly_cost"} {
		if !mentions(warnings, about) {
			t.Errorf("no warning mentions %q in %v", about, warnings)
		}
	}
}

func TestTheFoundingFilesFalsePriceRangeIsAWarning(t *testing.T) {
	catalog, err := offering.Open(folder("postgres-database", map[string]string{"offering.yaml": document(t)}), prices(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := "the price range $30.00 to $300.00 is false: a request costs $32.70 to $2,130.00"; !mentions(catalog.Warnings(), want) {
		t.Errorf("warnings = %v, want one with %q", catalog.Warnings(), want)
	}
}

func mentions(problems []offering.Problem, text string) bool {
	for _, p := range problems {
		if strings.Contains(p.String(), text) {
			return true
		}
	}
	return false
}

func TestEveryFaultOfAContractIsNamedWithItsLine(t *testing.T) {
	_, _, err := offering.Load(folder("thing", map[string]string{"offering.yaml": `name: Thing
colour: red
version: one
parameters:
  - name: name
    type: string
    requird: true
  - name: size
    type: integer
    min: ten
`}), "thing")
	for _, want := range []string{
		"thing/offering.yaml:2: there is no field colour here",
		"thing/offering.yaml:7: there is no field requird here",
		`thing/offering.yaml:10: "ten" is not a whole number`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want it with %q", err, want)
		}
	}
	if provision.KindOf(err) != provision.Invalid {
		t.Errorf("kind = %s, want invalid", provision.KindOf(err))
	}
}

func TestAContractThatContradictsItselfIsRefused(t *testing.T) {
	tests := map[string]struct{ old, new, want string }{
		"a default beyond its limit":         {"default: 100", "default: 5", "storage_gb is 5; the least is 20"},
		"a default of another type":          {"default: 7", "default: seven", `backup_retention_days is "seven"; it must be a whole number from 1 to 35`},
		"a default that is no option":        {"default: db.t3.medium", "default: db.t9", "choose db.t3.small"},
		"min above max":                      {"min: 20", "min: 2000", "min 2000 above max 1000"},
		"two parameters with one name":       {"- name: cost_center", "- name: team_owner", "two parameters team_owner"},
		"an unknown type":                    {"type: boolean", "type: yesno", `unknown type "yesno"`},
		"a broken pattern":                   {"^[a-z][a-z0-9-]{2,30}$", "^[a-z", "no regular expression"},
		"no version":                         {"version: 1.2.0", "version: latest", `version "latest" is not a version`},
		"a role that nobody plays":           {"- name: cost_center", "- name: billing", "the cost_center should be the parameter cost_center"},
		"an option twice":                    {"value: db.t3.large", "value: db.t3.small", `the option "db.t3.small" twice`},
		"an option with an unknown field":    {"label: \"Small", "lable: \"Small", "an option has no field lable"},
		"a price that is no amount":          {"monthly_min: 30", "monthly_min: cheap", `"cheap" is not an amount of dollars`},
		"min above max of the range":         {"monthly_min: 30", "monthly_min: 301", "monthly_min $301.00 is above monthly_max $300.00"},
		"a tag that is no pair":              {"- managed-by: platform", "- {a: b, c: d}", "tag 1 is not one key"},
		"what replaces and never changes":    {"default: false", "default: false\n    immutable: true\n    replaces: true", "multi_az is immutable, so it never changes"},
		"a name that Terraform keeps":        {"- name: multi_az", "- name: count", "the name count is reserved"},
		"no formula":                         {"  formula: |", "  items: {}\ndescription2: |", "there is no field description2"},
		"a second document":                  {"tags:", "---\ntags:", "more than one document"},
		"an owner that need not be given":    {"required: true\n    description: \"Team", "required: false\n    description: \"Team", "it must be required"},
		"implementations that are not there": {"icon: postgresql", "icon: postgresql\nimplementations: [aws]", "implementations are aws, but the module folders are none"},
		"a timeout that is no duration":      {"icon: postgresql", "icon: postgresql\ntimeouts: {apply: long}", "is not a duration"},
		"a step with an unknown phase":       {"icon: postgresql", "icon: postgresql\nsteps: [{name: A, phase: later}]", "unknown phase"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(document(t), tt.old, tt.new, 1)
			if text == document(t) {
				t.Fatalf("the document has no %q", tt.old)
			}
			_, _, err := offering.Load(folder("postgres-database", map[string]string{"offering.yaml": text}), "postgres-database")
			if err == nil || !strings.Contains(err.Error(), tt.want) || provision.KindOf(err) != provision.Invalid {
				t.Errorf("err = %v, want Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestAFolderThatIsNotThereIsNotFound(t *testing.T) {
	_, _, err := offering.Load(fstest.MapFS{}, "none")
	if provision.KindOf(err) != provision.NotFound {
		t.Errorf("err = %v, want NotFound", err)
	}
}

func TestTheBuiltInOfferingsOpenWithoutWarnings(t *testing.T) {
	catalog, err := offering.Open(templates.FS, prices(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range catalog.Warnings() {
		if !strings.Contains(warning.Message, "final or doubled hyphen") {
			t.Errorf("warning: %s", warning)
		}
	}
	var ids []string
	for _, o := range catalog.Offerings() {
		ids = append(ids, o.ID)
	}
	if diff := cmp.Diff([]string{"postgres-database", "static-site"}, ids); diff != "" {
		t.Errorf("offerings differ (-want +got):\n%s", diff)
	}
	o, err := catalog.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range o.Presets {
		got[p.Name] = p.MonthlyCost.String()
	}
	if diff := cmp.Diff(map[string]string{"small": "$42.75", "medium": "$171.00", "large": "$755.00"}, got); diff != "" {
		t.Errorf("preset prices differ (-want +got):\n%s", diff)
	}
	var steps []string
	for _, s := range o.Steps {
		steps = append(steps, s.Name)
	}
	want := []string{"Validate request", "Generate configuration", "Create database instance", "Configure monitoring", "Store credentials"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("steps differ (-want +got):\n%s", diff)
	}
	if _, err := catalog.Offering("mysql"); provision.KindOf(err) != provision.NotFound || !strings.Contains(err.Error(), "postgres-database") {
		t.Errorf("an unknown offering: err = %v, want NotFound with the names", err)
	}
}
