package terraform

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	hcljson "github.com/hashicorp/hcl/v2/json"
	tfjson "github.com/hashicorp/terraform-json"
	"github.com/zclconf/go-cty/cty"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FuzzParametersAreData writes any text as a parameter and reads the file as
// Terraform reads it: what comes back is the text, never what it says.
func FuzzParametersAreData(f *testing.F) {
	for _, seed := range []string{
		`${file("/etc/passwd")}`, `%{ for x in [1] }x%{ endfor }`, `$${a}`, "\"}\nresource \"x\" \"y\" {}", "\u2028<&>\x7f\\u0000", "null", "{}",
	} {
		f.Add(seed, seed)
	}
	run := &Run{Work: f.TempDir(), redactor: &Redactor{}, open: map[string]bool{}}
	f.Fuzz(func(t *testing.T, text, member string) {
		if strings.ToValidUTF8(text, "") != text || strings.ToValidUTF8(member, "") != member {
			return // no JSON body can hold it
		}
		err := run.WriteVariables(Prepared{Variables: []string{"inner", "text"}}, map[string]any{"text": text, "inner": map[string]any{member: text}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(run.Work, VariablesFile))
		if err != nil {
			t.Fatal(err)
		}
		parsed, faults := hcljson.Parse(raw, VariablesFile)
		if faults.HasErrors() {
			t.Fatalf("%q makes a file that Terraform cannot read: %v", text, faults)
		}
		attributes, faults := parsed.Body.JustAttributes()
		if faults.HasErrors() || len(attributes) != 2 {
			t.Fatalf("%q makes %d variables: %v", text, len(attributes), faults)
		}
		value, faults := attributes["text"].Expr.Value(nil)
		if faults.HasErrors() || value.AsString() != cty.NormalizeString(text) {
			t.Fatalf("%q came back as %#v: %v", text, value, faults)
		}
		var plain map[string]any
		if err := json.Unmarshal(raw, &plain); err != nil || plain["text"] != text {
			t.Fatalf("%q came back from JSON as %q: %v", text, plain["text"], err)
		}
	})
}

// FuzzRedactorHidesWhatIsPlanted plants a secret, as it is and as others write
// it, into any text.
func FuzzRedactorHidesWhatIsPlanted(f *testing.F) {
	f.Add("canary-0815", "before ", " after")
	f.Add("pässword with \"quotes\" & <tags>", "postgres://u:", "@h/db")
	f.Add("aaaaaaa", "aaa", "aaa")
	f.Add("token=abcdef", "token=", "\ntoken=")
	f.Add("line one\nline two", "{\"x\":\"", "\"}")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < shortestSecret || strings.ContainsAny(secret, "()") || strings.Contains(Masked, secret) || strings.ToValidUTF8(secret, "") != secret {
			return // too short to be looked for, or it could be made of what stands in its place
		}
		var r Redactor
		r.Add(secret)
		for _, form := range []string{secret, quoted(secret, true), quoted(secret, false), base64.StdEncoding.EncodeToString([]byte(secret))} {
			got := r.Text(before + form + after)
			if strings.Contains(got, form) {
				t.Errorf("%q as %q is left in %q", secret, form, got)
			}
			if r.Finds(got) {
				t.Errorf("a form of %q is left in %q", secret, got)
			}
		}
		if value := r.Value(map[string]any{before: []any{secret, map[string]any{secret: after}}}); r.Finds(value) {
			t.Errorf("%q is left in %v", secret, value)
		}
	})
}

// FuzzProviders reads any text as a list of providers: it is one, and is written
// as it was read, or it is Invalid.
func FuzzProviders(f *testing.F) {
	f.Add([]byte("provider \"registry.terraform.io/a/b\" {\n  version = \"1.0.0\"\n  hashes = [\"h1:x\", \"zh:y\"]\n}\n"))
	f.Add([]byte("provider \"a\" {\n  version = 5\n  hashes = { a = 1 }\n}\nprovider \"b\" { hashes = [null, 1, \"x\"] }\n"))
	f.Add([]byte("provider {}\nprovider \"a\" \"b\" {}\nx = \"${a}\"\n"))
	file := filepath.Join(f.TempDir(), lockFile)
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(text []byte) (Providers, error) {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			return ReadProviders(file)
		}
		list, err := read(text)
		if err != nil {
			if provision.KindOf(err) != provision.Invalid {
				t.Errorf("%q: %v, want Invalid", text, err)
			}
			return
		}
		again, err := read(list.Text())
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q is written as %q: %v", text, list.Text(), err)
		}
		for address, provider := range list {
			if again[address].Version != provider.Version {
				t.Errorf("%q: %s is %q, and is written as %q", text, address, provider.Version, again[address].Version)
			}
		}
	})
}

func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		`{"@level":"info","@message":"x: Creating...","type":"apply_start","hook":{"resource":{"addr":"a.b"},"action":"create"}}`,
		`{"type":"diagnostic","diagnostic":{"severity":"error","summary":"s","detail":"d"}}`, `{"type":"apply_errored","hook":null}`, `{}`, `null`, `not json`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, line []byte) {
		e := ParseEvent(line)
		_, _, _ = e.Lines(), e.Failed(), e.Repeated()
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":4,"serial":7,"lineage":"l","outputs":{"pw":{"value":"canary","sensitive":true},"a":{"value":[{"b":1}]}},"resources":[{"mode":"managed","type":"t","name":"n","instances":[{"index_key":0,"attributes":{"a":[{"x":"y"}]},"sensitive_attributes":[[{"type":"get_attr","value":"a"},{"type":"index","value":{"value":0,"type":"number"}}]]}]}]}`))
	f.Add([]byte(`{"version":4,"resources":[{"instances":[{"attributes":null,"sensitive_attributes":[[{"type":"index","value":{"value":1e9,"type":"number"}}]]}]}]}`))
	f.Add([]byte(`{"version":3}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		state, err := ParseState(raw)
		if err != nil {
			return
		}
		var r Redactor
		state.Hide(&r)
		var again struct {
			Outputs map[string]struct{ Sensitive bool }
		}
		if json.Unmarshal(raw, &again) != nil {
			return
		}
		for name := range state.Outputs {
			if out, is := again.Outputs[name]; is && out.Sensitive {
				t.Errorf("the sensitive output %q is among the outputs", name)
			}
		}
	})
}

// FuzzChangeSet reads any plan: no secret that the plan calls sensitive is in
// what is sent to be judged.
func FuzzChangeSet(f *testing.F) {
	f.Add([]byte(`{"format_version":"1.2","resource_changes":[{"address":"a.b","type":"a","change":{"actions":["create"],"after":{"password":"canary-value","n":[{"x":"canary-inner"}]},"after_sensitive":{"password":true,"n":[{"x":true}]},"after_unknown":{"id":true},"replace_paths":[["n",0,"x"]]}}]}`))
	f.Add([]byte(`{"format_version":"1.0","resource_changes":[{"change":{"actions":["delete","create"],"before":null,"after_sensitive":true,"after":"x"}}]}`))
	f.Add([]byte(`{"format_version":"1.2","variables":{"p":{"value":"canary-variable"}},"configuration":{"root_module":{"variables":{"p":{"sensitive":true}}}},"resource_changes":[{"address":"a.b","change":{"actions":["update"],"after":{"copy":"canary-variable"}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var plan tfjson.Plan
		if json.Unmarshal(raw, &plan) != nil {
			return
		}
		for _, change := range plan.ResourceChanges {
			if change == nil || change.Change == nil {
				return // Terraform writes no such plan
			}
		}
		var r Redactor
		secrets := sensitiveValues(&plan)
		r.Add(secrets)
		sent, err := json.Marshal(changesOf(&plan, &r))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if text, ok := secret.(string); ok && strings.HasPrefix(text, "canary-") && strings.Contains(string(sent), text) {
				t.Errorf("%q is in %s", text, sent)
			}
		}
	})
}
