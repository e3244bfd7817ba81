package provision

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// ParameterChange is one parameter that a change would change.
type ParameterChange struct {
	Parameter string `json:"parameter"`
	Title     string `json:"title"`
	Before    any    `json:"before"` // nil when it is not set; of a sensitive one only that it is
	After     any    `json:"after"`
	Immutable bool   `json:"immutable"` // it must not change, so the whole is refused
}

// changesBetween are the parameters that differ, in the order of the offering as
// it would be, then those that it does not have; never nil.
func changesBetween(now, then Offering, before, after Parameters) []ParameterChange {
	changes := []ParameterChange{}
	add := func(p Parameter) {
		if same(before[p.Name], after[p.Name]) {
			return
		}
		_, had := now.Parameter(p.Name)
		change := ParameterChange{
			Parameter: p.Name, Title: p.title(), Before: before[p.Name], After: after[p.Name],
			Immutable: then.frozen(p) && (had || now.Digest == then.Digest),
		}
		if p.Sensitive {
			change.Before, change.After = setMark(change.Before), setMark(change.After)
		}
		changes = append(changes, change)
	}
	for _, p := range then.Parameters {
		add(p)
	}
	for _, name := range after.Names() {
		if _, ok := then.Parameter(name); !ok {
			add(Parameter{Name: name})
		}
	}
	return append(changes, dropped(now, then, before)...)
}

// title is the parameter's label, its name when it has none.
func (p Parameter) title() string { return cmp.Or(p.Title, p.Name) }

func setMark(value any) any {
	if value == nil {
		return nil
	}
	return map[string]any{"set": true}
}

// same reports whether two values are the same JSON; one that is read from the
// store has other types for its numbers.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// frozen reports whether a parameter stays as it was when the instance was made.
func (o Offering) frozen(p Parameter) bool {
	return p.Immutable || slices.Contains([]string{o.Roles.Name, o.Roles.Environment, o.Roles.Owner}, p.Name)
}

func frozenFaults(o Offering, changes []ParameterChange) []Fault {
	var faults []Fault
	for _, c := range changes {
		if !c.Immutable {
			continue
		}
		wayOut := "ask for a new one with the other value, and destroy this"
		if c.Parameter == o.Roles.Owner {
			wayOut = "the owner changes by handing over"
		}
		faults = append(faults, Fault{
			Path:    "/" + c.Parameter,
			Message: fmt.Sprintf("%s is %v and stays so for good; leave it out, or %s", c.Parameter, text(c.Before), wayOut),
		})
	}
	return faults
}

func text(value any) string {
	if value == nil {
		return "not set"
	}
	return fmt.Sprint(value)
}
