package terraform

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	tfjson "github.com/hashicorp/terraform-json"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestChangesOf(t *testing.T) {
	t.Parallel()
	type change = tfjson.Change
	tests := map[string]struct {
		change change
		want   provision.Change
	}{
		"a create shows what is known": {
			change{Actions: tfjson.Actions{tfjson.ActionCreate}, After: map[string]any{"size": json.Number("5")}, AfterSensitive: map[string]any{}},
			provision.Change{Action: "create", After: map[string]any{"size": json.Number("5")}},
		},
		"a sensitive attribute is left out on both sides": {
			change{Actions: tfjson.Actions{tfjson.ActionUpdate},
				Before: map[string]any{"a": "x", "pw": "canary-b"}, BeforeSensitive: map[string]any{"pw": true},
				After: map[string]any{"a": "y", "pw": "canary-a"}, AfterSensitive: map[string]any{"pw": true}},
			provision.Change{Action: "update", Before: map[string]any{"a": "x"}, After: map[string]any{"a": "y"}},
		},
		"an attribute that loses its mark is hidden by its value": {
			change{Actions: tfjson.Actions{tfjson.ActionUpdate},
				Before: map[string]any{"pw": "canary-b"}, BeforeSensitive: map[string]any{"pw": true},
				After: map[string]any{"copy": "canary-b"}, AfterSensitive: map[string]any{}},
			provision.Change{Action: "update", Before: map[string]any{}, After: map[string]any{"copy": Masked}},
		},
		"a list keeps its places": {
			change{Actions: tfjson.Actions{tfjson.ActionDelete, tfjson.ActionCreate},
				Before:          map[string]any{"l": []any{"a", "canary", map[string]any{"p": "canary", "q": "r"}}},
				BeforeSensitive: map[string]any{"l": []any{false, true, map[string]any{"p": true}}}},
			provision.Change{Action: "replace", Before: map[string]any{"l": []any{"a", nil, map[string]any{"q": "r"}}}},
		},
		"a resource that is sensitive as a whole shows nothing": {
			change{Actions: tfjson.Actions{tfjson.ActionDelete}, Before: map[string]any{"a": "canary-x"}, BeforeSensitive: true},
			provision.Change{Action: "delete"},
		},
		"to forget is to lose":      {change{Actions: tfjson.Actions{tfjson.ActionForget}}, provision.Change{Action: "delete"}},
		"a data source is read":     {change{Actions: tfjson.Actions{tfjson.ActionRead}}, provision.Change{Action: "read"}},
		"what stays is no-op":       {change{Actions: tfjson.Actions{tfjson.ActionNoop}}, provision.Change{Action: "no-op"}},
		"create before destroy too": {change{Actions: tfjson.Actions{tfjson.ActionCreate, tfjson.ActionDelete}}, provision.Change{Action: "replace"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := &tfjson.Plan{ResourceChanges: []*tfjson.ResourceChange{{Address: "x.y", Type: "x", Change: &tt.change}}}
			var r Redactor
			r.Add(sensitiveValues(plan))
			tt.want.Address, tt.want.Type = "x.y", "x"
			if diff := cmp.Diff([]provision.Change{tt.want}, changesOf(plan, &r)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoPlantedSecretIsInAnyChange builds trees at random with their masks.
func TestNoPlantedSecretIsInAnyChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		planted := 0
		var grow func(depth int) (any, any)
		grow = func(depth int) (any, any) {
			switch choice := random.IntN(6); {
			case choice == 0:
				planted++
				return fmt.Sprintf("canary-%d-%d", seed, planted), true
			case choice == 1 && depth > 0: // a tree under one mask
				value, _ := grow(depth - 1)
				planted++
				return []any{value, fmt.Sprintf("canary-%d-%d", seed, planted)}, true
			case choice == 2 && depth > 0:
				values, masks := []any{}, []any{}
				for range random.IntN(4) {
					value, mask := grow(depth - 1)
					values, masks = append(values, value), append(masks, mask)
				}
				return values, masks
			case choice <= 4 && depth > 0:
				values, masks := map[string]any{}, map[string]any{}
				for i := range random.IntN(4) {
					key := fmt.Sprint("k", i)
					value, mask := grow(depth - 1)
					values[key] = value
					if mask != false || random.IntN(2) == 0 {
						masks[key] = mask
					}
				}
				return values, masks
			}
			return "plain", false
		}
		before, beforeMask := grow(5)
		after, afterMask := grow(5)
		plan := &tfjson.Plan{ResourceChanges: []*tfjson.ResourceChange{{Change: &tfjson.Change{
			Actions: tfjson.Actions{tfjson.ActionUpdate}, Before: map[string]any{"v": before}, After: map[string]any{"v": after},
			BeforeSensitive: map[string]any{"v": beforeMask}, AfterSensitive: map[string]any{"v": afterMask},
		}}}}
		var r Redactor
		r.Add(sensitiveValues(plan))
		text, err := json.Marshal(changesOf(plan, &r))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "canary") {
			t.Fatalf("seed %d: %s", seed, text)
		}
		if marked, _ := json.Marshal([]any{before, after}); planted > 0 && strings.Contains(r.Text(string(marked)), "canary") {
			t.Fatalf("seed %d: the redactor does not know every sensitive value of %s", seed, marked)
		}
	}
}
