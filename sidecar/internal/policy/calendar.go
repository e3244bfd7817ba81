package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // windows have time zones, and not every image knows them

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	timeOfDay = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	weekdays  = []any{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

// verifyCalendar wants data/calendar.yaml to say only what the rules about
// holds understand: what they do not would hold nothing. Every fault is told.
func verifyCalendar(data map[string]any) error {
	document, _ := data["calendar"].(map[string]any)
	freezes, isFreezes := document["freezes"].([]any)
	windows, isWindows := document["windows"].(map[string]any)
	if !isFreezes || !isWindows {
		return errors.New("policy data data/calendar.yaml needs freezes, a list, and windows, an object; both may be empty")
	}
	var faults []error
	add := func(what string, problems []string) {
		for _, problem := range problems {
			faults = append(faults, fmt.Errorf("policy data data/calendar.yaml: %s %s", what, problem))
		}
	}
	for _, key := range []string{"window_actions", "system_passes"} {
		add(key, listFaults(document[key], false))
	}
	for i, freeze := range freezes {
		add(fmt.Sprintf("freeze %d", i+1), freezeFaults(freeze))
	}
	for _, environment := range slices.Sorted(maps.Keys(windows)) {
		list, isList := windows[environment].([]any)
		if !isList || len(list) == 0 {
			add("windows of "+environment, []string{"must be a list of at least one; leave the environment out to have it always open"})
		}
		for i, window := range list {
			add(fmt.Sprintf("window %d of %s", i+1, environment), windowFaults(window))
		}
	}
	return errors.Join(faults...)
}

func freezeFaults(value any) []string {
	freeze, isObject := value.(map[string]any)
	if !isObject {
		return []string{"is not an object"}
	}
	problems := unknown(freeze, "name", "environments", "from", "until", "reason", "offerings", "actions")
	for _, key := range []string{"name", "reason"} {
		if text, _ := freeze[key].(string); strings.TrimSpace(text) == "" {
			problems = append(problems, "has no "+key)
		}
	}
	for key, optional := range map[string]bool{"environments": false, "offerings": true, "actions": true} {
		if _, given := freeze[key]; given || !optional {
			for _, problem := range listFaults(freeze[key], true) {
				problems = append(problems, "has "+key+" that "+problem)
			}
		}
	}
	from, err1 := instantOf(freeze["from"])
	until, err2 := instantOf(freeze["until"])
	switch {
	case err1 != nil || err2 != nil:
		problems = append(problems, "needs from and until, each a day or a time such as 2026-12-20T00:00:00+01:00")
	case !from.Before(until):
		problems = append(problems, "ends before it begins")
	}
	slices.Sort(problems)
	return problems
}

func windowFaults(value any) []string {
	window, isObject := value.(map[string]any)
	if !isObject {
		return []string{"is not an object"}
	}
	problems := unknown(window, "days", "from", "to", "timezone")
	days, _ := window["days"].([]any)
	if len(days) == 0 || slices.ContainsFunc(days, func(day any) bool { return !slices.Contains(weekdays, day) }) {
		problems = append(problems, "needs days, of mon, tue, wed, thu, fri, sat, sun")
	}
	for _, key := range []string{"from", "to"} {
		if text, _ := window[key].(string); !timeOfDay.MatchString(text) {
			problems = append(problems, fmt.Sprintf("needs %s, a time of day in quotes such as \"22:00\"", key))
		}
	}
	zone, _ := window["timezone"].(string)
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		problems = append(problems, "needs a timezone such as Europe/Berlin or UTC")
	}
	return problems
}

func unknown(object map[string]any, known ...string) []string {
	var problems []string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, key) {
			problems = append(problems, fmt.Sprintf("has the field %q; there are %s", key, strings.Join(known, ", ")))
		}
	}
	return problems
}

// listFaults says what is wrong with a list of texts.
func listFaults(value any, filled bool) []string {
	list, isList := value.([]any)
	if !isList || filled && len(list) == 0 || slices.ContainsFunc(list, func(one any) bool { text, _ := one.(string); return text == "" }) {
		return []string{"must be a list of texts"}
	}
	return nil
}

func instantOf(value any) (time.Time, error) {
	text, _ := value.(string)
	if !strings.Contains(text, "T") {
		text += "T00:00:00Z"
	}
	return time.Parse(time.RFC3339, text)
}

var holdOrder = map[provision.HoldKind]int{provision.HoldPause: 0, provision.HoldFreeze: 1, provision.HoldWindow: 2}

// Holds implements provision.Calendar. A rule that fails or says something
// malformed is an Internal error, and then nothing may go on.
func (b *Bundle) Holds(ctx context.Context, in provision.HoldInput) ([]provision.Hold, error) {
	pauses := make([]any, len(in.Pauses))
	for i, p := range in.Pauses {
		pauses[i] = map[string]any{"kind": string(p.Kind), "name": p.Name, "reason": p.Reason, "by": p.By}
	}
	var holds []provision.Hold
	err := b.said(ctx, b.holds, map[string]any{
		"action": string(in.Action), "subject": in.Subject, "offering": map[string]any{"id": in.Offering},
		"environment": map[string]any{"name": in.Environment.Name, "pool": in.Environment.Pool},
		"name":        in.Name, "owner": in.Owner, "pauses": pauses, "at": in.At.UTC().Format(time.RFC3339Nano),
	}, &holds)
	if err != nil {
		return nil, fmt.Errorf("evaluate holds for %s: %w", in.Name, err)
	}
	for _, h := range holds {
		if _, known := holdOrder[h.Kind]; !known || h.Message == "" {
			return nil, fmt.Errorf("evaluate holds for %s: one of kind %q says %q", in.Name, h.Kind, h.Message)
		}
	}
	slices.SortFunc(holds, func(x, y provision.Hold) int {
		if d := holdOrder[x.Kind] - holdOrder[y.Kind]; d != 0 {
			return d
		}
		return strings.Compare(x.Name+"\x00"+x.Message, y.Name+"\x00"+y.Message)
	})
	return holds, nil
}

// Upcoming implements provision.Calendar.
func (b *Bundle) Upcoming(ctx context.Context, environments []string, at time.Time) ([]provision.CalendarEntry, error) {
	var entries []provision.CalendarEntry
	input := map[string]any{"environments": texts(environments), "at": at.UTC().Format(time.RFC3339Nano)}
	if err := b.said(ctx, b.calendar, input, &entries); err != nil {
		return nil, fmt.Errorf("evaluate calendar: %w", err)
	}
	slices.SortFunc(entries, func(x, y provision.CalendarEntry) int {
		if d := x.From.Compare(y.From); d != 0 {
			return d
		}
		return strings.Compare(x.Environment+"\x00"+x.Name, y.Environment+"\x00"+y.Name)
	})
	return entries, nil
}

// said decodes a query's answer into result.
func (b *Bundle) said(ctx context.Context, query rego.PreparedEvalQuery, input map[string]any, result any) error {
	document, err := ast.InterfaceToValue(input)
	if err != nil {
		return err
	}
	value, err := evaluate(ctx, query, document)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, result)
}
