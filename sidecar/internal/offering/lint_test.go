package offering_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// deps are the real prices and policies.
func deps(t testing.TB) offering.LintDeps {
	t.Helper()
	rules, err := policy.Load(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	p := prices(t)
	return offering.LintDeps{Prices: p, Judge: provision.Judge{Prices: p, Rules: rules}}
}

func TestNothingDisagreesInTheBuiltInOfferings(t *testing.T) {
	for _, problem := range offering.LintAll(t.Context(), templates.FS, deps(t)) {
		t.Error(problem)
	}
}

// shipped is a copy of the built-in tree, to be spoilt.
func shipped(t *testing.T) fstest.MapFS {
	t.Helper()
	tree := fstest.MapFS{}
	err := fs.WalkDir(templates.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(templates.FS, name)
		tree[name] = &fstest.MapFile{Data: text, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestLintFindsWhatDisagrees(t *testing.T) {
	const dir = "postgres-database/"
	tests := map[string]struct{ file, old, new, want string }{
		"a false price range":                  {"offering.yaml", "monthly_max: 2130.00", "monthly_max: 300", "write monthly_min: 32.70 and monthly_max: 2130.00"},
		"items that leave out a part":          {"offering.yaml", "    multi-AZ: standby\n", "", "cost items that differ from its total"},
		"a formula with an unknown name":       {"offering.yaml", "storage_gb * 0.115", "storage_tb * 0.115", "undefined: storage_tb"},
		"a preset that is not offered":         {"offering.yaml", "instance_class: db.r6g.xlarge", "instance_class: db.r6g.2xlarge", "the preset large breaks the schema"},
		"a preset that nobody may have":        {"offering.yaml", "storage_gb: 500", "storage_gb: 1000", "the preset large is allowed nowhere without approval"},
		"a label with another price":           {"offering.yaml", "- $120/month", "- $12/month", "the label of db.t3.large says $12, its monthly_cost is $120.00"},
		"drift of an unknown type":             {"offering.yaml", "postgres_database.settings: custom", "postgres_schema.settings: custom", "drift names postgres_schema.settings, which is in no module"},
		"drift into what is no parameter":      {"offering.yaml", "settings: custom_parameters", "settings: settings", "drift adopts postgres_database.settings into settings, which is no parameter"},
		"drift into what never changes":        {"offering.yaml", "settings: custom_parameters", "settings: database_name", "which can never be changed so"},
		"drift into a part of what is no map":  {"offering.yaml", "settings: custom_parameters", "settings: storage_gb.a", "but storage_gb is no map"},
		"activity of what is no output":        {"offering.yaml", "credentials.database", "secrets.database", "the activity of local takes secrets.database, which is no output"},
		"activity by nothing known":            {"offering.yaml", "kind: sql", "kind: guess", `measured by "guess"`},
		"activity by what is no metric":        {"offering.yaml", "Maximum AWS/RDS", "AWS/RDS", "the activity of aws cannot be measured: "},
		"activity without a server":            {"offering.yaml", "connection: ROADBED_POSTGRES_DSN", `connection: ""`, "the activity of local has no connection"},
		"a step with an unknown address":       {"offering.yaml", "- postgres_role.monitor", "- postgres_role.watcher", "step 4 names postgres_role.watcher, which is in no module"},
		"a resource in no step":                {"offering.yaml", "      - terraform_data.requested\n", "", "terraform_data.requested belongs to no step"},
		"a parameter without a variable":       {"module/local/variables.tf", `variable "multi_az"`, `variable "two_zones"`, "there is no variable for the parameter multi_az"},
		"a variable without a parameter":       {"module/local/variables.tf", `variable "multi_az"`, `variable "two_zones"`, "the variable two_zones is no parameter"},
		"a variable of another type":           {"module/local/variables.tf", "type        = bool", "type        = string", `multi_az is of type "string", the parameter of type boolean`},
		"a variable with another default":      {"module/local/variables.tf", "default     = 100", "default     = 200", "the variable storage_gb has the default 200, the parameter 100"},
		"an output that is not there":          {"module/local/outputs.tf", `output "port"`, `output "gate"`, "there is no output port, which the offering promises"},
		"an output that is not promised":       {"module/local/outputs.tf", `output "port"`, `output "gate"`, "the offering does not promise the output gate"},
		"Terraform that cannot be read":        {"module/local/outputs.tf", `output "port" {`, `output "port" {{`, "module/local/outputs.tf:"},
		"no variable for the platform":         {"module/local/variables.tf", `variable "roadbed"`, `variable "road"`, "there is no variable roadbed"},
		"a rotation that makes nothing anew":   {"module/local/main.tf", "var.roadbed.credentials_version", "1", "does not use var.roadbed.credentials_version"},
		"a rotation that nobody can ask for":   {"offering.yaml", "rotates: true", "rotates: false", "nobody can ask for new ones"},
		"a stale form":                         {"template.yaml", "maximum: 1000", "maximum: 2000", "the form is stale"},
		"a stale contract":                     {"offering.yaml", "description: \"Storage size in GB\"", "description: \"Size\"", "the form is stale"},
		"an example that costs something else": {"examples/own-settings.yaml", "85.50", "85.00", "it costs 85.50, not 85.00"},
		"an example with another outcome":      {"examples/multi-az-in-dev.yaml", "outcome: deny", "outcome: allow", "the outcome is deny, not allow"},
		"an example with other rules":          {"examples/nobody-pays.yaml", "team_owner, cost_center]", "team_owner]", "[cost_center, team_owner], not [team_owner]"},
		"an example that is not valid":         {"examples/own-settings.yaml", "environment: dev", "environment: qa", `environment is "qa"`},
		"an example with an unknown field":     {"examples/own-settings.yaml", "expect:", "expects:", "there is no field expects here"},
		"a form that is not listed":            {"../catalog.yaml", "./postgres-database/template.yaml", "./other/template.yaml", "the form of postgres-database is not listed"},
		"a resource that nothing prices":       {"offering.yaml", "free: [postgres_role, terraform_data]", "free: [terraform_data]", "postgres_role.monitor is neither priced nor free"},
		"a price by what is not made":          {"offering.yaml", "counted: postgres_database", "counted: aws_db_instance", "by aws_db_instance, which its module does not make"},
		"a price by no attribute":              {"offering.yaml", "attribute: input.storage_gb", "attribute: input.storage", "sets no input.storage of terraform_data.requested"},
		"a price by no parameter":              {"offering.yaml", "        multi_az: {of", "        zones: {of", "the price of local is by zones, which is no parameter"},
		"a plan that is not priced":            {"offering.yaml", "counted: postgres_database", "counted: ''", "it does not say how a plan of local is priced"},
		"no page for people":                   {"README.md", "", "", "the page for the person choosing is missing"},
		"a contract that cannot be read":       {"offering.yaml", "tags:", "tag:", "there is no field tag here"},
	}
	judge := deps(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree := shipped(t)
			file := strings.ReplaceAll(dir+tt.file, dir+"../", "")
			old := string(tree[file].Data)
			text := strings.Replace(old, tt.old, tt.new, 1)
			if tt.old == "" {
				text = ""
			}
			if text == old {
				t.Fatalf("%s has no %q", file, tt.old)
			}
			tree[file] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
			problems := offering.Lint(t.Context(), tree, "postgres-database", judge)
			if !mentions(problems, tt.want) {
				t.Errorf("problems = %v, want one with %q", problems, tt.want)
			}
			for _, p := range problems {
				if p.File == "" || p.Message == "" {
					t.Errorf("problem without a place or message: %+v", p)
				}
			}
		})
	}
}

func TestLintOfTheFoundingFileNamesItsFaults(t *testing.T) {
	problems := offering.Lint(t.Context(), folder("postgres-database", map[string]string{"offering.yaml": document(t)}), "postgres-database", deps(t))
	for _, want := range []string{"the price range $30.00 to $300.00 is false", "there is no module", "the form is missing", "there are no examples"} {
		if !mentions(problems, want) {
			t.Errorf("problems = %v, want one with %q", problems, want)
		}
	}
}
