package offering_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func builtin(t testing.TB, id string) (*offering.Catalog, provision.Offering) {
	t.Helper()
	catalog, err := offering.Open(templates.FS, prices(t))
	if err != nil {
		t.Fatal(err)
	}
	o, err := catalog.Offering(id)
	if err != nil {
		t.Fatal(err)
	}
	return catalog, o
}

func database(changes provision.Parameters) provision.Parameters {
	p := provision.Parameters{"database_name": "orders", "environment": "dev", "team_owner": "payments", "cost_center": "CC-1234"}
	for name, value := range changes {
		p[name] = value
	}
	return p
}

func TestOnlyTheRequiredFieldsAreNeeded(t *testing.T) {
	catalog, o := builtin(t, "postgres-database")
	given := database(nil)
	got, err := catalog.Check(o, given)
	if err != nil {
		t.Fatal(err)
	}
	want := database(provision.Parameters{
		"instance_class": "db.t3.medium", "storage_gb": int64(100), "backup_retention_days": int64(7),
		"multi_az": false, "custom_parameters": map[string]any{},
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checked parameters differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(database(nil), given); diff != "" {
		t.Errorf("the input was changed (-want +got):\n%s", diff)
	}
	again, err := catalog.Check(o, got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("checking twice differs (-first +second):\n%s", diff)
	}
}

func TestEqualMeaningsBecomeEqualValues(t *testing.T) {
	catalog, o := builtin(t, "postgres-database")
	tests := map[string]struct {
		name        string
		value, want any
	}{
		"a float that is whole":          {"storage_gb", float64(50), int64(50)},
		"a JSON number":                  {"storage_gb", json.Number("50"), int64(50)},
		"a JSON number with an exponent": {"storage_gb", json.Number("5e1"), int64(50)},
		"an int":                         {"storage_gb", 50, int64(50)},
		"null is absent":                 {"storage_gb", nil, int64(100)},
		"an owner by its reference":      {"team_owner", "group:default/payments", "payments"},
		"an owner without a namespace":   {"team_owner", "group:payments", "payments"},
		"an owner in capitals":           {"team_owner", " Group:default/Payments ", "payments"},
		"an empty owner is for policy":   {"team_owner", "", ""},
		"a blank owner is empty":         {"team_owner", "  ", ""},
		"a blank cost centre is empty":   {"cost_center", " ", ""},
		"settings of every kind": {"custom_parameters",
			map[string]any{"max_connections": json.Number("200"), "shared_buffers": "256MB", "fsync": true},
			map[string]any{"max_connections": int64(200), "shared_buffers": "256MB", "fsync": true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := catalog.Check(o, database(provision.Parameters{tt.name: tt.value}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got[tt.name]); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s", tt.name, diff)
			}
		})
	}
}

func TestWhatIsWrongIsSaidForPeople(t *testing.T) {
	catalog, o := builtin(t, "postgres-database")
	tests := map[string]struct {
		changes provision.Parameters
		want    string
	}{
		"two characters":               {provision.Parameters{"database_name": "ab"}, `database_name is "ab"; it must match ^[a-z][a-z0-9-]{2,30}$: Lowercase letters, numbers, and hyphens only`},
		"a final hyphen":               {provision.Parameters{"database_name": "orders-"}, "cannot end in a hyphen or hold two in a row, because Backstage would drop it"},
		"a doubled hyphen":             {provision.Parameters{"database_name": "or--ders"}, "cannot end in a hyphen or hold two in a row"},
		"an unknown environment":       {provision.Parameters{"environment": "qa"}, `environment is "qa"; choose dev, staging or prod`},
		"a class that is not offered":  {provision.Parameters{"instance_class": "db.r6g.2xlarge"}, `instance_class is "db.r6g.2xlarge"; choose db.t3.small, db.t3.medium, db.t3.large or db.r6g.xlarge`},
		"too little storage":           {provision.Parameters{"storage_gb": 19}, "storage_gb is 19; the least is 20"},
		"too much storage":             {provision.Parameters{"storage_gb": json.Number("1001")}, "storage_gb is 1001; the most is 1000"},
		"storage that eats memory":     {provision.Parameters{"storage_gb": json.Number("1e1000000")}, "storage_gb has a number beyond reason"},
		"a setting that looks sealed":  {provision.Parameters{"custom_parameters": map[string]any{"sealed": "YWJj"}}, "custom_parameters has the one member \"sealed\""},
		"a setting that eats memory":   {provision.Parameters{"custom_parameters": map[string]any{"a": json.Number("1e999999999")}}, "custom_parameters has a number beyond reason"},
		"a setting Terraform refuses":  {provision.Parameters{"custom_parameters": map[string]any{"Work-Mem": "64MB"}}, "a key must match ^[a-z_]"},
		"half a gigabyte":              {provision.Parameters{"storage_gb": 20.5}, "storage_gb is 20.5; it must be a whole number from 20 to 1000"},
		"a number as text":             {provision.Parameters{"storage_gb": "100"}, `storage_gb is "100"; it must be a whole number from 20 to 1000`},
		"a boolean as text":            {provision.Parameters{"multi_az": "true"}, `multi_az is "true"; it must be true or false`},
		"an unknown field":             {provision.Parameters{"colour": "red"}, `postgres-database has no parameter "colour"; it has database_name, environment`},
		"an owner that is a user":      {provision.Parameters{"team_owner": "user:default/ann"}, "not the name of a group"},
		"an owner of another space":    {provision.Parameters{"team_owner": "group:other/payments"}, "not the name of a group"},
		"an owner that breaks out":     {provision.Parameters{"team_owner": "x\"}\nresource"}, "on one line"},
		"a cost centre of two lines":   {provision.Parameters{"cost_center": "CC\n1"}, "on one line"},
		"a cost centre that is long":   {provision.Parameters{"cost_center": strings.Repeat("C", 41)}, "cost_center has 41 characters; the most is 40"},
		"settings that are no object":  {provision.Parameters{"custom_parameters": "x"}, "must be an object of texts, numbers and booleans"},
		"a setting that is an object":  {provision.Parameters{"custom_parameters": map[string]any{"a": map[string]any{}}}, `the value of "a" must be a text`},
		"a setting with a strange key": {provision.Parameters{"custom_parameters": map[string]any{"a b": "x"}}, `has the key "a b"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := catalog.Check(o, database(tt.changes))
			if err == nil {
				t.Fatalf("checked = %v, want an error", got)
			}
			if provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestEveryFaultOfARequestComesAtOnce(t *testing.T) {
	catalog, o := builtin(t, "postgres-database")
	_, err := catalog.Check(o, provision.Parameters{
		"database_name": "Orders", "storage_gb": 5, "multi_az": "yes", "a/b": 1, "team_owner": "Ann Smith",
	})
	var invalid *provision.Error
	if !errors.As(err, &invalid) {
		t.Fatalf("err = %v, want a provision.Error", err)
	}
	var paths []string
	for _, f := range invalid.Details {
		paths = append(paths, f.Path)
	}
	want := []string{"/database_name", "/environment", "/storage_gb", "/multi_az", "/team_owner", "/cost_center", "/a~1b"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("faults differ (-want +got):\n%s\n%v", diff, err)
	}
}

func TestAFormThatIsHalfFilledInCanBePriced(t *testing.T) {
	catalog, o := builtin(t, "postgres-database")
	p := prices(t)
	reads, err := p.Reads(o)
	if err != nil {
		t.Fatal(err)
	}
	form := provision.Parameters{"database_name": "", "team_owner": "", "cost_center": "", "environment": "dev", "multi_az": true}
	part, err := catalog.CheckPart(o, form, reads)
	if err != nil {
		t.Fatal(err)
	}
	want := provision.Parameters{"instance_class": "db.t3.medium", "storage_gb": int64(100), "backup_retention_days": int64(7), "multi_az": true}
	if diff := cmp.Diff(want, part); diff != "" {
		t.Errorf("part differs (-want +got):\n%s", diff)
	}
	if estimate, err := p.Price(o, part); err != nil || estimate.MonthlyCost.String() != "$171.00" {
		t.Errorf("price = %s, %v; want $171.00", estimate.MonthlyCost, err)
	}
	form["storage_gb"] = 5
	if _, err := catalog.CheckPart(o, form, reads); provision.KindOf(err) != provision.Invalid {
		t.Errorf("too little storage: err = %v, want Invalid", err)
	}
}

func TestFreeTextIsKeptWordForWord(t *testing.T) {
	catalog, o := builtin(t, "static-site")
	p := provision.Parameters{"site_name": "status", "environment": "dev", "title": "Hi", "team_owner": "payments", "cost_center": "CC-1"}
	for _, text := range []string{"two\nlines\tand a tab", "x\"}\nresource \"evil\" {", "${file(\"/etc/passwd\")}", "naïve ☃", strings.Repeat("ü", 2000)} {
		p["message"] = text
		got, err := catalog.Check(o, p)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got["message"] != text {
			t.Errorf("message = %q, want %q", got["message"], text)
		}
	}
	for _, text := range []string{"a\x00b", "\x1b[31m", strings.Repeat("a", 2001)} {
		p["message"] = text
		if _, err := catalog.Check(o, p); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%q: err = %v, want Invalid", text, err)
		}
	}
}

func TestASecretIsNotRepeatedInAMessage(t *testing.T) {
	text := strings.Replace(document(t), "description: \"Storage size in GB\"\n", "description: \"Storage size in GB\"\n  - name: token\n    type: string\n    pattern: \"^t-\"\n    sensitive: true\n", 1)
	loaded, _, err := offering.Load(folder("postgres-database", map[string]string{"offering.yaml": text}), "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	catalog, _ := builtin(t, "postgres-database")
	_, err = catalog.Check(loaded.Offering, database(provision.Parameters{"token": "hunter2"}))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "token is not shown") {
		t.Errorf("err = %v, want one about token without its value", err)
	}
}

func BenchmarkCheck(b *testing.B) {
	catalog, o := builtin(b, "postgres-database")
	p := database(provision.Parameters{"storage_gb": json.Number("359")})
	for b.Loop() {
		if _, err := catalog.Check(o, p); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzCheckNeverPanicsAndIsStable(f *testing.F) {
	f.Add([]byte(`{"database_name":"orders","environment":"dev","team_owner":"payments","cost_center":"CC-1"}`))
	f.Add([]byte(`{"database_name":"a--","storage_gb":1e99,"custom_parameters":{"a":{"b":[1]}},"~/":null}`))
	catalog, o := builtin(f, "postgres-database")
	f.Fuzz(func(t *testing.T, body []byte) {
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.UseNumber()
		var p provision.Parameters
		if decoder.Decode(&p) != nil {
			return
		}
		first, err := catalog.Check(o, p)
		if err != nil {
			if provision.KindOf(err) != provision.Invalid {
				t.Fatalf("%s: err = %v is not Invalid", body, err)
			}
			return
		}
		second, err := catalog.Check(o, first)
		if err != nil || !cmp.Equal(first, second) {
			t.Fatalf("%s: checked twice = %v, %v; want %v", body, second, err, first)
		}
	})
}
