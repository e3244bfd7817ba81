package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ImportRule is how things that exist become an instance of an implementation.
type ImportRule struct {
	Of    map[string]string `json:"of"`              // the resources that must be named, by address: what the id of each is
	Makes []string          `json:"makes,omitempty"` // addresses of what may be made beside; nothing else may
}

// Imported is an existing resource that an instance takes over.
type Imported struct {
	Address string `json:"address"` // Terraform's
	ID      string `json:"id"`      // by which its provider knows it
}

// mostImports is how many instances can be asked for at once.
const mostImports = 50

// Importing asks for existing resources to become an instance.
type Importing struct {
	Offering   string
	Parameters Parameters
	Resources  []Imported
}

// ImportAnswer is what became of one item.
type ImportAnswer struct {
	Name    string
	Request Request // zero while it is only looked at, and when nothing was stored
	Answer  *Answer // while it is only looked at
	Err     error   // why it was not accepted; nil when it was
}

// Import asks for existing resources to become instances, each a request of its
// own that is judged as a create is; what is not accepted says why. Its plan may
// import, change in place, and make what the offering says, which policy sees
// and shows; nothing is touched before. With dry it only answers what would be
// said. The same key gives the same answer.
func (s *Service) Import(ctx context.Context, p Principal, items []Importing, task, key string, dry bool) ([]ImportAnswer, error) {
	if len(items) == 0 || len(items) > mostImports {
		return nil, Errorf(Invalid, "items has %d entries; give 1 to %d", len(items), mostImports)
	}
	answers := make([]ImportAnswer, len(items))
	for n, item := range items {
		answers[n] = s.importOne(ctx, p, item, Submission{Offering: item.Offering, Task: task, IdempotencyKey: fmt.Sprintf("%s/%d", key, n)}, dry)
		if err := answers[n].Err; err != nil && KindOf(err) == Unavailable {
			return nil, err // the same key goes on from there
		}
	}
	return answers, nil
}

func (s *Service) importOne(ctx context.Context, p Principal, item Importing, sub Submission, dry bool) (answer ImportAnswer) {
	if o, err := s.Catalog.Offering(item.Offering); err == nil {
		answer.Name = item.Parameters.Text(o.Roles.Name)
	}
	stage := StageSubmit
	if dry {
		stage = StageForm
	}
	ask, err := s.importable(ctx, p, item, stage)
	switch {
	case err != nil:
		answer.Err = err
	case dry:
		change := intended{prepared: ask}
		foreseen, err := s.foreseeNew(ctx, &change.judged)
		answer.Answer, answer.Err = &foreseen, err
	default:
		answer.Request, answer.Err = s.submit(ctx, p, sub, ask)
	}
	return answer
}

// importable is the ask of an import: that of a create whose resources are there.
func (s *Service) importable(ctx context.Context, p Principal, item Importing, stage Stage) (prepared, error) {
	ask, err := s.prepare(ctx, p.about(Import, nil), item.Offering, item.Parameters, stage)
	faults, other := s.importFaults(item)
	if other != nil {
		return prepared{}, errors.Join(err, other)
	}
	if len(faults) > 0 {
		return prepared{}, withFaults(err, faults)
	}
	if err != nil {
		return prepared{}, err
	}
	encoded, err := json.Marshal(item.Resources)
	if err != nil {
		return prepared{}, fmt.Errorf("encode resources: %w", err)
	}
	sum := sha256.Sum256(append([]byte(ask.digest), encoded...))
	ask.digest, ask.imports, ask.judged.Action = hex.EncodeToString(sum[:]), item.Resources, Import
	return ask, nil
}

// importFaults are what is wrong with the resources of an import, every fault at
// once; a Conflict when the offering cannot be imported there at all.
func (s *Service) importFaults(item Importing) ([]Fault, error) {
	o, err := s.Catalog.Offering(item.Offering)
	if err != nil {
		return nil, nil // said already
	}
	environment, known := s.Environments[item.Parameters.Text(o.Roles.Environment)]
	if !known {
		return nil, nil
	}
	rule, can := o.Import[environment.Implementation]
	if !can {
		return nil, Errorf(Conflict, "%s says of no resources in %s how they are imported; ask for a new one and move what is in it", o.Name, environment.Name)
	}
	var faults []Fault
	given := map[string]bool{}
	for n, r := range item.Resources {
		at := fmt.Sprintf("/resources/%d", n)
		switch _, of := rule.Of[r.Address]; {
		case !of:
			faults = append(faults, Fault{at + "/address", fmt.Sprintf("%q is none of what an import of %s takes: %v", r.Address, o.Name, slices.Sorted(maps.Keys(rule.Of)))})
		case given[r.Address]:
			faults = append(faults, Fault{at + "/address", r.Address + " is there twice; name it once"})
		case r.ID == "" || len(r.ID) > 1000:
			faults = append(faults, Fault{at + "/id", r.Address + " has no id, or one of over 1000 characters"})
		}
		given[r.Address] = true
	}
	for _, address := range slices.Sorted(maps.Keys(rule.Of)) {
		if !given[address] {
			faults = append(faults, Fault{"/resources", fmt.Sprintf("%s is missing; its id is %s", address, rule.Of[address])})
		}
	}
	return faults, nil
}

// foreseeNew judges what nobody has asked for yet and would be new, budgets and
// holds included.
func (s *Service) foreseeNew(ctx context.Context, ask *Ask) (Answer, error) {
	if err := s.fund(ctx, ask, nil); err != nil {
		return Answer{}, err
	}
	verdict, input, err := s.Judge.weigh(ctx, *ask)
	if err != nil {
		return Answer{}, err
	}
	if verdict.Budgets, err = s.Judge.budgets(ctx, ask.Balances, input.Price.ChargeMills); err != nil {
		return Answer{}, err
	}
	answer := Answer{Verdict: verdict}
	answer.Holds, err = s.holdsNow(ctx, *ask)
	return answer, err
}

// makes reports whether the action brings an instance about.
func (a Action) makes() bool { return a == Create || a == Import }
