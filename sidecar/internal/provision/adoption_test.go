package provision_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestAdopted(t *testing.T) {
	offering := provision.Offering{ID: "vm", Parameters: []provision.Parameter{
		{Name: "storage_gb", Type: "integer"}, {Name: "settings", Type: "map"}, {Name: "secret", Type: "string", Sensitive: true},
		{Name: "name", Type: "string", Immutable: true},
	}}
	changed := func(parameter string, actual any) provision.Difference {
		return provision.Difference{Address: "vm.main", Kind: provision.DriftChanged, Attribute: "x", Actual: actual, Parameter: parameter}
	}
	for name, tt := range map[string]struct {
		found []provision.Difference
		want  provision.Parameters // nil is a conflict
	}{
		"a value":                 {[]provision.Difference{changed("storage_gb", json.Number("160"))}, provision.Parameters{"storage_gb": json.Number("160")}},
		"a value that is gone":    {[]provision.Difference{changed("storage_gb", nil)}, provision.Parameters{"storage_gb": nil}},
		"members of a map":        {[]provision.Difference{changed("settings.a", json.Number("2")), changed("settings.c", "x"), changed("settings.b", nil)}, provision.Parameters{"settings": map[string]any{"a": "2", "c": "x"}}},
		"what no parameter sets":  {[]provision.Difference{changed("storage_gb", json.Number("160")), changed("", "x")}, nil},
		"what is gone":            {[]provision.Difference{{Address: "vm.main", Kind: provision.DriftMissing}}, nil},
		"a secret":                {[]provision.Difference{changed("secret", "x")}, nil},
		"what never changes":      {[]provision.Difference{changed("name", "x")}, nil},
		"a parameter that is not": {[]provision.Difference{changed("old", "x")}, nil},
	} {
		parameters := provision.Parameters{"storage_gb": json.Number("100"), "settings": map[string]any{"a": "1", "b": "1"}, "secret": map[string]any{"sealed": "x"}}
		i := drifting(func(i *provision.Instance) {
			i.Parameters, i.Drift = parameters, &provision.Drift{Generation: i.Generation, Differences: tt.found}
		})
		got, err := provision.Adopted(offering, i)
		if tt.want == nil && provision.KindOf(err) != provision.Conflict || tt.want != nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(parameters["settings"].(map[string]any)) != 2 {
			t.Errorf("%s: what is asked for today was changed", name)
		}
	}
	for name, drift := range map[string]*provision.Drift{
		"no drift": nil, "found before the newest request": {Generation: 2}, "more than is kept": {Generation: 3, More: 1},
	} {
		if _, err := provision.Adopted(offering, drifting(func(i *provision.Instance) { i.Drift = drift })); provision.KindOf(err) != provision.Conflict {
			t.Errorf("%s: %v, want a conflict", name, err)
		}
	}
}
