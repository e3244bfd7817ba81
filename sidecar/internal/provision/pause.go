package provision

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Pause holds what has not been given a run yet until someone resumes it.
type Pause struct {
	ID     uuid.UUID `json:"id"`
	Kind   PauseKind `json:"kind"`
	Name   string    `json:"name"` // the offering's id or the pool's name; "" for everything
	Reason string    `json:"reason"`
	By     string    `json:"by"` // user entity ref
	At     time.Time `json:"at"`
}

// PauseKind is what a pause is of.
type PauseKind string

// The kinds of pause.
const (
	PauseOffering   PauseKind = "offering"
	PausePool       PauseKind = "pool"
	PauseEverything PauseKind = "everything"
)

// everywhere stands for the environment in events that belong to none.
const everywhere = "all"

// Thing is what is paused, in words.
func (p Pause) Thing() string { return strings.TrimSpace(string(p.Kind) + " " + p.Name) }

// Begun is the event that tells of the pause's beginning.
func (p Pause) Begun() Event {
	return p.event("begun", 1, map[string]any{"kind": p.Kind, "name": p.Name, "reason": p.Reason, "by": p.By})
}

// Ended is the event that tells of its end by someone.
func (p Pause) Ended(by string) Event {
	return p.event("ended", 2, map[string]any{"kind": p.Kind, "name": p.Name, "by": by})
}

func (p Pause) event(verb string, sequence int64, data map[string]any) Event {
	return Event{ID: NewID(), Entity: "pause", Verb: verb, SubjectID: p.ID, Sequence: sequence, Environment: everywhere, At: time.Now().UTC(), Data: data}
}

// Pauses are those in force, oldest first.
func (s *Service) Pauses(ctx context.Context) ([]Pause, error) { return s.Store.Pauses(ctx) }

// Pause pauses an offering, a pool or everything, for the platform team alone:
// what is asked for is accepted and waits. What is paused already is a Conflict,
// unless by the same person for the same reason: an answer may have been lost.
func (s *Service) Pause(ctx context.Context, p Principal, kind PauseKind, name, reason string) (Pause, error) {
	if err := s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbPause}); err != nil {
		return Pause{}, err
	}
	if err := s.pausable(kind, name, reason); err != nil {
		return Pause{}, err
	}
	return s.Store.BeginPause(ctx, Pause{ID: NewID(), Kind: kind, Name: name, Reason: reason, By: p.Subject})
}

// pausable tells every fault of what is to be paused at once.
func (s *Service) pausable(kind PauseKind, name, reason string) error {
	var faults []Fault
	add := func(wrong bool, path, message string) {
		if wrong {
			faults = append(faults, Fault{Path: path, Message: message})
		}
	}
	switch kind {
	case PauseOffering:
		var ids []string
		for _, o := range s.Catalog.Offerings() {
			ids = append(ids, o.ID)
		}
		add(!slices.Contains(ids, name), "/name", "there is no offering \""+name+"\"; there are "+strings.Join(ids, ", "))
	case PausePool:
		pools := map[string]bool{}
		for _, e := range s.Environments {
			pools[e.Pool] = true
		}
		add(!pools[name], "/name", "there is no pool \""+name+"\"; there are "+strings.Join(slices.Sorted(maps.Keys(pools)), ", "))
	case PauseEverything:
		add(name != "", "/name", "everything has no name; leave it out")
	default:
		add(true, "/kind", "kind is \""+string(kind)+"\"; it is offering, pool or everything")
	}
	add(reason == "", "/reason", "a pause needs a reason, for whoever waits")
	if len(faults) == 0 {
		return nil
	}
	var said []string
	for _, f := range faults {
		said = append(said, f.Message)
	}
	return &Error{Kind: Invalid, Message: strings.Join(said, "; "), Details: faults}
}

// Resume ends a pause, for the platform team alone; what it held goes on at
// once. It may be repeated. An unknown id is NotFound.
func (s *Service) Resume(ctx context.Context, p Principal, id uuid.UUID) error {
	if err := s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbPause}); err != nil {
		return err
	}
	return s.Store.EndPause(ctx, id, p.Subject)
}
