package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// mostRuns is the largest limit; more is a mistake.
const mostRuns = 10_000

// limitsOf reads data/queue.yaml, with every fault at once. Without the file
// nothing is limited but by the slots that the sidecar is told.
func limitsOf(data map[string]any) (provision.Limits, error) {
	value, given := data["queue"]
	if !given {
		return provision.Limits{}, nil
	}
	document, isObject := value.(map[string]any)
	if !isObject {
		return provision.Limits{}, errors.New("policy data data/queue.yaml is not an object with pools, teams and otherwise")
	}
	var faults []error
	for _, problem := range unknown(document, "pools", "teams", "otherwise") {
		faults = append(faults, fmt.Errorf("policy data data/queue.yaml %s", problem))
	}
	var l provision.Limits
	var poolFaults, teamFaults []error
	l.Pools, poolFaults = limitsBy("pools", document["pools"])
	l.Teams, teamFaults = limitsBy("teams", document["teams"])
	faults = append(append(faults, poolFaults...), teamFaults...)
	if otherwise, given := document["otherwise"]; given {
		var ok bool
		if l.Team, ok = wholeFrom(otherwise, 0); !ok {
			faults = append(faults, fmt.Errorf("policy data data/queue.yaml: otherwise must be a whole number from 0, for no limit, to %d", mostRuns))
		}
	}
	return l, errors.Join(faults...)
}

func limitsBy(key string, value any) (map[string]int, []error) {
	object, isObject := value.(map[string]any)
	if !isObject && value != nil {
		return nil, []error{fmt.Errorf("policy data data/queue.yaml: %s must be an object of names and limits", key)}
	}
	read := make(map[string]int, len(object))
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(object)) {
		n, ok := wholeFrom(object[name], 1)
		if !ok {
			faults = append(faults, fmt.Errorf("policy data data/queue.yaml: %s.%s must be a whole number from 1 to %d; to let nothing run, pause it", key, name, mostRuns))
			continue
		}
		read[name] = n
	}
	return read, faults
}

// wholeFrom is a whole number from least to mostRuns.
func wholeFrom(value any, least int) (int, bool) {
	number, isNumber := value.(json.Number)
	if !isNumber {
		return 0, false
	}
	n, err := number.Int64()
	return int(n), err == nil && n >= int64(least) && n <= mostRuns
}

// Limits are how many runs may be in flight at once. Its Slots are 0: they are
// the sidecar's to say. The caller must not change its maps.
func (b *Bundle) Limits() provision.Limits { return b.limits }

// Limits are those of the bundle in force; none while there is none.
func (l *Live) Limits() provision.Limits {
	bundle, err := l.bundle()
	if err != nil {
		return provision.Limits{}
	}
	return bundle.Limits()
}
