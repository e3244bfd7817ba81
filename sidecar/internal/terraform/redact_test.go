package terraform

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedactorText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secrets []any
		text    string
		want    string
	}{
		"a known secret is masked":                     {[]any{"canary-1"}, "got canary-1 here", "got (sensitive) here"},
		"the longer of two overlapping secrets wins":   {[]any{"canary", "canary-long"}, "canary-long", "(sensitive)"},
		"a short secret is not looked for inside text": {[]any{"ab"}, "about", "about"},
		"members of maps and lists are secrets":        {[]any{map[string]any{"k": []any{"hidden-1", json.Number("12345678")}}}, "hidden-1 12345678", "(sensitive) (sensitive)"},
		"a URL-encoded secret is masked":               {[]any{"pa ss/wörd"}, "pa+ss%2Fw%C3%B6rd", "(sensitive)"},
		"a JSON-quoted secret is masked":               {[]any{"say \"hello\" now"}, `say \"hello\" now`, "(sensitive)"},
		"a base64 secret is masked":                    {[]any{"canary-1"}, "Y2FuYXJ5LTE=", "(sensitive)"},
		"each line of a key file is masked":            {[]any{"-----BEGIN-----\nMIIEvQIBADAN\n-----END-----"}, "  MIIEvQIBADAN", "  (sensitive)"},
		"the password inside a secret DSN is masked":   {[]any{"postgres://u:hunter22@h/db"}, "login with hunter22 was refused", "login with (sensitive) was refused"},
		"an unknown connection string loses its password": {nil, "dial postgres://app:p@ss/w:rd@db:5432/x now",
			"dial postgres://app:(sensitive)@db:5432/x now"},
		"a key=value password is masked":      {nil, "host=db password=abc user=u", "host=db password=(sensitive) user=u"},
		"a quoted password is masked":         {nil, `master_password = "a b c" x`, `master_password = (sensitive) x`},
		"an address without a password stays": {nil, "see https://example.com/a", "see https://example.com/a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r Redactor
			for _, secret := range tt.secrets {
				r.Add(secret)
			}
			if got := r.Text(tt.text); got != tt.want {
				t.Errorf("Text(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestParseStateKeepsSensitiveValuesOutOfOutputsAndKnowsThem(t *testing.T) {
	t.Parallel()
	const raw = `{"version":4,"serial":7,"lineage":"l","outputs":{"host":{"value":"db","type":"string"},"pw":{"value":"canary-output","sensitive":true}},
	"resources":[{"mode":"managed","module":"module.m","type":"t","name":"n","instances":[
	  {"index_key":"a","attributes":{"input":{"value":{"pw":"canary-dynamic","name":"plain-name"},"type":["object",{}]},"list":[{"x":"canary-listed"}],"master_password":"canary-unmarked"},
	   "sensitive_attributes":[[{"type":"get_attr","value":"input"},{"type":"get_attr","value":"pw"}],
	     [{"type":"get_attr","value":"list"},{"type":"index","value":{"value":0,"type":"number"}},{"type":"get_attr","value":"x"}]]}]},
	 {"mode":"data","type":"d","name":"d","instances":[{"attributes":{}}]}]}`
	state, err := ParseState([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"host": "db"}, state.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`module.m.t.n["a"]`}, state.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	var r Redactor
	state.Hide(&r)
	for _, canary := range []string{"canary-output", "canary-dynamic", "canary-listed", "canary-unmarked"} {
		if got := r.Text(canary); got != Masked {
			t.Errorf("%s is not hidden: %q", canary, got)
		}
	}
	if got := r.Text("plain-name"); got != "plain-name" {
		t.Errorf("a plain value is hidden: %q", got)
	}
	for what, torn := range map[string]string{"half a state file": raw[:len(raw)/2], "one with another's end": raw + raw[len(raw)/2:]} {
		if _, err := ParseState([]byte(torn)); err == nil {
			t.Errorf("%s is no error", what)
		}
	}
}
