package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/ast"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestTheInputIsExactlyItsJSON(t *testing.T) {
	t.Parallel()
	var full provision.RuleInput
	fill(t, reflect.ValueOf(&full).Elem(), "input")
	full.Parameters = provision.Parameters{
		"integer": json.Number("12"), "large": int64(1) << 53, "small": 3, "fraction": 0.25, "decimal": json.Number("0.10"),
		"yes": true, "no": false, "none": nil, "text": "<a> & \"b\" ü", "secret": map[string]any{"set": true},
		"custom": map[string]any{"max_connections": json.Number("200"), "list": []any{"a", 1, nil}},
		"labels": map[string]string{"a": "b"}, "names": []string{"x"},
	}
	tests := map[string]provision.RuleInput{
		"with every field set": full,
		"with nothing set":     {},
		"with everything empty": {
			Subject:     provision.RuleSubject{Groups: []string{}},
			Environment: provision.Environment{Settings: map[string]string{}},
			Parameters:  provision.Parameters{}, Before: provision.Parameters{},
			Price:   provision.RulePrice{Items: map[string]int64{}},
			Changes: []provision.Change{{Before: map[string]any{}}},
		},
		"with an empty plan": {Changes: []provision.Change{}},
		"at a fraction of a second elsewhere": {
			At: time.Date(2026, 11, 24, 12, 0, 0, 120_000_000, time.FixedZone("", 3600)),
		},
	}
	for name, input := range tests {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal(input)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ast.ValueFromReader(bytes.NewReader(document))
			if err != nil {
				t.Fatal(err)
			}
			got, err := ruleInput(input)
			if err != nil {
				t.Fatal(err)
			}
			if want.Compare(got) != 0 {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// fill sets every field, so that one which is added to the input and forgotten
// here is seen.
func fill(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 24, 12, 0, 0, 1, time.UTC)))
		return
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.Max))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(len(name)))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), fmt.Sprintf("%s.%d", name, i))
		}
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		if element.Kind() == reflect.Interface {
			element.Set(reflect.ValueOf(name))
		} else {
			fill(t, element, name+".value")
		}
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), element)
	default:
		t.Fatalf("%s: this test cannot fill a %s", name, v.Kind())
	}
}
