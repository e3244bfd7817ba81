package provision

import (
	"testing"

	"github.com/google/uuid"
)

func TestPlansOfOneShapeDoTheSame(t *testing.T) {
	request, before := uuid.New(), uuid.New()
	update := func(was, is map[string]any) Change {
		return Change{Address: "a.b", Type: "a", Action: "update", Before: was, After: is}
	}
	tests := map[string]struct {
		one, other []Change
		same       bool
	}{
		"other values of the same attribute": {
			[]Change{update(map[string]any{"size": 1}, map[string]any{"size": 2})},
			[]Change{update(map[string]any{"size": 4}, map[string]any{"size": 8})}, true},
		"another attribute": {
			[]Change{update(map[string]any{"size": 1}, map[string]any{"size": 2})},
			[]Change{update(map[string]any{"name": "x"}, map[string]any{"name": "y"})}, false},
		"replaced instead of updated": {
			[]Change{update(map[string]any{"size": 1}, map[string]any{"size": 2})},
			[]Change{{Address: "a.b", Type: "a", Action: "replace", Before: map[string]any{"size": 1}, After: map[string]any{"size": 2}}}, false},
		"more resources of the same type, in another order": {
			[]Change{{Address: "a.b", Type: "a", Action: "create"}, {Address: "c.d", Type: "c", Action: "delete"}},
			[]Change{{Address: "c.e", Type: "c", Action: "delete"}, {Address: "a.x", Type: "a", Action: "create"}, {Address: "a.y", Type: "a", Action: "create"}}, true},
		"a deletion more": {
			[]Change{{Address: "a.b", Type: "a", Action: "create"}},
			[]Change{{Address: "a.b", Type: "a", Action: "create"}, {Address: "c.d", Type: "c", Action: "delete"}}, false},
		"what is read and what stays": {
			[]Change{{Address: "a.b", Type: "a", Action: "no-op"}, {Address: "data.x.y", Type: "x", Action: "read"}}, nil, true},
		"only the request that a tag names": {
			[]Change{update(map[string]any{"tags": map[string]any{"RequestID": before.String()}}, map[string]any{"tags": map[string]any{"RequestID": request.String()}})}, nil, true},
		"the request that a longer text names": {
			[]Change{update(map[string]any{"comment": "by " + before.String() + " for payments"}, map[string]any{"comment": "by " + request.String() + " for payments"})}, nil, true},
		"the request that a text names and a word of it": {
			[]Change{update(map[string]any{"comment": "by " + before.String() + " for payments"}, map[string]any{"comment": "by " + request.String() + " for search"})}, nil, false},
		"an id that is no request's": {
			[]Change{update(map[string]any{"key": before.String()}, map[string]any{"key": uuid.NewString()})}, nil, false},
		"what is only known once it is applied": {
			[]Change{{Address: "a.b", Type: "a", Action: "update", Unknown: []string{"output"}}}, nil, false},
		"a change that must not be shown": {
			[]Change{update(map[string]any{"a": 1}, map[string]any{"a": 1})}, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			one, other := shapeOf(tt.one, request), shapeOf(tt.other, request)
			if same := one.Digest() == other.Digest(); same != tt.same {
				t.Errorf("%q and %q are the same: %t, want %t", one.Title(), other.Title(), same, tt.same)
			}
		})
	}
}

func TestAShapeThatLosesSomethingIsConfirmedByItsGravestLine(t *testing.T) {
	shape := shapeOf([]Change{
		{Type: "postgres_role", Action: "create"},
		{Type: "postgres_database", Action: "replace", Before: map[string]any{"name": "x"}, After: map[string]any{"name": "y"}, Replaces: []string{"name"}},
	}, uuid.New())
	if got, want := shape.Title(), "replace postgres database (name), create postgres role"; got != want {
		t.Errorf("title = %q, want %q", got, want)
	}
	if got := shape.Confirm(); got != "replace postgres_database" {
		t.Errorf("confirm = %q", got)
	}
	if got := shapeOf([]Change{{Type: "a", Action: "create"}}, uuid.New()).Confirm(); got != "" {
		t.Errorf("a create asks to confirm %q", got)
	}
}
