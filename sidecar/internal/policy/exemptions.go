package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// longestExemption is how long one may last: what is right for longer is a rule
// to change.
const longestExemption = 180 * 24 * time.Hour

// liftable are rules that no guardrail states and that an exemption may name.
var liftable = []string{string(provision.HoldFreeze), string(provision.HoldWindow)}

// exemptionsOf reads data/exemptions.yaml. Every fault of every exemption is
// told at once.
func exemptionsOf(data map[string]any, rules map[string]bool) ([]provision.Exemption, error) {
	document, _ := data["exemptions"].(map[string]any)
	list, isList := document["exemptions"].([]any)
	never, isNever := document["never"].([]any)
	if !isList || !isNever {
		return nil, errors.New("policy data data/exemptions.yaml needs the lists exemptions and never; both may be empty")
	}
	var read []provision.Exemption
	var faults []error
	for i, one := range list {
		e, problems := exemptionOf(one)
		if len(problems) == 0 {
			problems = exemptionFaults(e, rules, never)
		}
		for _, problem := range problems {
			faults = append(faults, fmt.Errorf("policy data data/exemptions.yaml: exemption %d (%s) %s", i+1, orNone(e.Rule), problem))
		}
		read = append(read, e)
	}
	return read, errors.Join(faults...)
}

func orNone(rule string) string {
	if rule == "" {
		return "no rule"
	}
	return rule
}

// exemptionOf reads one; what it lacks is left empty.
func exemptionOf(value any) (provision.Exemption, []string) {
	var e provision.Exemption
	object, isObject := value.(map[string]any)
	if !isObject {
		return e, []string{"is not an object"}
	}
	fields := map[string]*string{
		"rule": &e.Rule, "owner": &e.Owner, "offering": &e.Offering, "environment": &e.Environment, "name": &e.Name,
		"from": &e.From, "until": &e.Until, "granted_by": &e.GrantedBy, "reason": &e.Reason,
	}
	var problems []string
	for key, value := range object {
		text, isText := value.(string)
		field, known := fields[key]
		switch {
		case !known:
			problems = append(problems, fmt.Sprintf("has the field %q; there are rule, owner, offering, environment, name, from, until, granted_by and reason", key))
		case !isText || strings.TrimSpace(text) == "":
			problems = append(problems, fmt.Sprintf("has no text for %s", key))
		case key == "from" || key == "until":
			day, err := dayOf(text)
			if err != nil {
				problems = append(problems, fmt.Sprintf("has %s %q; write a day, such as 2027-01-31", key, text))
			}
			*field = day
		default:
			*field = text
		}
	}
	slices.Sort(problems)
	return e, problems
}

// dayOf is a day as it is written, or as YAML reads it: midnight in UTC.
func dayOf(text string) (string, error) {
	day := strings.TrimSuffix(text, "T00:00:00Z")
	_, err := time.Parse(time.DateOnly, day)
	return day, err
}

func exemptionFaults(e provision.Exemption, rules map[string]bool, never []any) []string {
	var problems []string
	add := func(wrong bool, text string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(text, args...))
		}
	}
	for _, field := range []struct{ name, value string }{
		{"rule", e.Rule}, {"from", e.From}, {"until", e.Until}, {"granted_by", e.GrantedBy}, {"reason", e.Reason},
	} {
		add(field.value == "", "has no %s", field.name)
	}
	switch {
	case e.Rule == "":
	case slices.Contains(never, any(e.Rule)):
		add(true, "is of a rule that nobody is exempt from")
	default:
		add(!rules[e.Rule] && !slices.Contains(liftable, e.Rule), "is of no rule that there is")
	}
	add(e.Owner == "" && e.Offering == "" && e.Environment == "" && e.Name == "",
		"would be for everyone; name an owner, an offering, an environment or a name")
	add(e.Owner != "" && !groupRef.MatchString(e.Owner), "has owner %q; write it as group:default/payments", e.Owner)
	if e.From == "" || e.Until == "" {
		return problems
	}
	from, _ := time.Parse(time.DateOnly, e.From) // dayOf has read both
	until, _ := time.Parse(time.DateOnly, e.Until)
	add(!from.Before(until), "ends on %s, before it begins on %s", e.Until, e.From)
	add(until.Sub(from) > longestExemption, "lasts longer than 180 days; end it by %s", from.Add(longestExemption).Format(time.DateOnly))
	return problems
}

// Exemptions implements provision.Calendar; its error is always nil.
func (b *Bundle) Exemptions(at time.Time) ([]provision.Exemption, error) {
	today := at.UTC().Format(time.DateOnly)
	all := slices.Clone(b.exemptions)
	for i, e := range all {
		switch {
		case today < e.From:
			all[i].State = provision.ExemptionPlanned
		case today < e.Until:
			all[i].State = provision.ExemptionActive
		default:
			all[i].State = provision.ExemptionExpired
		}
	}
	order := map[provision.ExemptionState]int{provision.ExemptionActive: 0, provision.ExemptionPlanned: 1, provision.ExemptionExpired: 2}
	slices.SortStableFunc(all, func(x, y provision.Exemption) int {
		if d := order[x.State] - order[y.State]; d != 0 {
			return d
		}
		return strings.Compare(x.Until+x.Rule, y.Until+y.Rule)
	})
	return all, nil
}
