package provision

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/google/uuid"
)

// StateFiles reads and edits Terraform states.
type StateFiles interface {
	// Summary is what a plain state says.
	Summary(plain []byte) (StateSummary, error)
	// Without is the state without a resource, as its next version; NotFound when
	// the state does not have it.
	Without(plain []byte, address string) ([]byte, error)
}

// StateSummary is what a Terraform state says, without secrets.
type StateSummary struct {
	Serial    int64
	Lineage   string
	Addresses []string       // of managed resources
	Outputs   map[string]any // non-sensitive ones only
}

// resourceAddress is how a resource's address looks. It becomes an argument of a
// command, so that it must not look like an option.
var resourceAddress = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\[[^\]\n]{1,200}\])?(\.[A-Za-z_][A-Za-z0-9_-]*(\[[^\]\n]{1,200}\])?)+$`)

// Recovery is what an operator must know of a request that was cut short.
func (s *Service) Recovery(ctx context.Context, p Principal, requestID uuid.UUID) (Recovery, error) {
	record, err := s.operated(ctx, p, requestID, func(*Record) error { return nil })
	if err != nil {
		return Recovery{}, err
	}
	return s.recoveryOf(ctx, record)
}

// Attest says on an operator's word that the Terraform process of a lost request
// cannot run any more. It may be repeated.
func (s *Service) Attest(ctx context.Context, p Principal, requestID uuid.UUID, reason string) (Recovery, error) {
	return s.recover(ctx, p, requestID, reason, func(r *Record) error { return r.Attest(p.Subject, reason) })
}

// Recover has an attested request taken up by another worker. It may be repeated.
func (s *Service) Recover(ctx context.Context, p Principal, requestID uuid.UUID, reason string) (Recovery, error) {
	return s.recover(ctx, p, requestID, reason, func(r *Record) error {
		environment, ok := s.Environments[r.Request.Environment]
		if !ok {
			return Errorf(Unavailable, "environment %q is not configured; restore its file first", r.Request.Environment)
		}
		return r.Recover(p.Subject, environment.Pool, reason)
	})
}

// Conclude ends an attested request by an operator's word: result is
// ResultSucceeded or ResultFailed.
func (s *Service) Conclude(ctx context.Context, p Principal, requestID uuid.UUID, result, reason string) (Recovery, error) {
	if result != ResultSucceeded && result != ResultFailed {
		return Recovery{}, Errorf(Invalid, "result is %q; it is %s or %s", result, ResultSucceeded, ResultFailed)
	}
	record, err := s.operated(ctx, p, requestID, func(*Record) error { return nil })
	if err != nil {
		return Recovery{}, err
	}
	_, summary, err := s.stateOf(ctx, record.Instance)
	if err != nil {
		return Recovery{}, err
	}
	return s.recover(ctx, p, requestID, reason, func(r *Record) error { return r.Conclude(p.Subject, result, reason, summary.Outputs) })
}

// Note enters into an instance's journal what an operator knows of a resource:
// what it is known by, for the next run to import, or "" when it is not there.
func (s *Service) Note(ctx context.Context, p Principal, instanceID uuid.UUID, address, resourceID, reason string) (Recovery, error) {
	if !resourceAddress.MatchString(address) {
		return Recovery{}, Errorf(Invalid, "address is %q; it is that of a resource in Terraform, such as postgres_database.main", address)
	}
	instance, err := s.Store.Instance(ctx, instanceID)
	if err != nil {
		return Recovery{}, err
	}
	return s.recover(ctx, p, instance.RequestID, reason, func(r *Record) error { return r.NoteByHand(p.Subject, address, resourceID, reason) })
}

// RemoveFromState takes a resource out of an instance's state, without touching
// the resource: a new version becomes the one to go on from, and the old ones are
// kept. It is a Conflict while a worker is at the instance.
func (s *Service) RemoveFromState(ctx context.Context, p Principal, instanceID uuid.UUID, address, reason string) (Recovery, error) {
	instance, err := s.Store.Instance(ctx, instanceID)
	if err != nil {
		return Recovery{}, err
	}
	if err := s.Authorizer.Allow(ctx, Access{p, VerbRecover, instance.Owner, instance.Environment}); err != nil {
		return Recovery{}, err
	}
	plain, _, err := s.stateOf(ctx, &instance)
	if err != nil {
		return Recovery{}, err
	}
	if plain == nil {
		return Recovery{}, Errorf(NotFound, "%s has no state yet", instance.Name)
	}
	rest, err := s.StateFiles.Without(plain, address)
	if err != nil {
		return Recovery{}, err
	}
	record, err := s.operated(ctx, p, instance.RequestID, func(r *Record) error {
		if reason == "" {
			return errNoReason
		}
		return r.NoteByHand(p.Subject, address, "", reason) // else the next run would import it again
	})
	if err != nil {
		return Recovery{}, err
	}
	summary, err := s.StateFiles.Summary(rest)
	if err != nil {
		return Recovery{}, err
	}
	sealed, err := s.Keys.Seal(record.Run.Pool, rest)
	if err != nil {
		return Recovery{}, err
	}
	head, err := s.Store.PushState(ctx, StateVersion{
		InstanceID: instanceID, RunID: record.Run.ID, Fence: record.Instance.Fence, Serial: summary.Serial, Lineage: summary.Lineage, Sealed: sealed,
	})
	if err != nil {
		return Recovery{}, err
	}
	if !head {
		return Recovery{}, Errorf(Conflict, "a worker has taken %s up meanwhile; nothing was changed", record.Instance.Name)
	}
	return s.recoveryOf(ctx, record)
}

var errNoReason = Errorf(Invalid, "a reason is missing; whoever looks at it later reads it")

func (s *Service) recover(ctx context.Context, p Principal, requestID uuid.UUID, reason string, decide func(*Record) error) (Recovery, error) {
	record, err := s.operated(ctx, p, requestID, func(r *Record) error {
		if reason == "" {
			return errNoReason
		}
		return decide(r)
	})
	if err != nil {
		return Recovery{}, err
	}
	return s.recoveryOf(ctx, record)
}

// operated changes a request's record for who may recover.
func (s *Service) operated(ctx context.Context, p Principal, requestID uuid.UUID, decide func(*Record) error) (*Record, error) {
	request, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return nil, err
	}
	if err := s.Authorizer.Allow(ctx, Access{p, VerbRecover, request.Owner, request.Environment}); err != nil {
		return nil, err
	}
	return s.Store.Change(ctx, requestID, func(r *Record) error {
		if r.Instance == nil {
			return Errorf(Conflict, "request %s was %s before anything was made", requestID, r.Request.State)
		}
		return decide(r)
	})
}

func (s *Service) recoveryOf(ctx context.Context, r *Record) (Recovery, error) {
	recovery := r.recovery()
	var err error
	if recovery.Journal, err = s.Store.Journal(ctx, r.Instance.ID); err != nil {
		return Recovery{}, err
	}
	plain, summary, err := s.stateOf(ctx, r.Instance)
	if err != nil {
		return Recovery{}, err
	}
	recovery.Resources = append([]string{}, summary.Addresses...)
	if plain != nil {
		recovery.Serial = &summary.Serial
	}
	recovery.Imports = slices.DeleteFunc(append([]MadeResource{}, madeOf(recovery.Journal)...), func(m MadeResource) bool {
		return slices.Contains(summary.Addresses, m.Address)
	})
	return recovery, nil
}

// stateOf is the state that an instance's next run goes on from; nil when there
// is none yet.
func (s *Service) stateOf(ctx context.Context, i *Instance) (plain []byte, summary StateSummary, err error) {
	version, err := s.Store.LatestState(ctx, i.ID)
	if KindOf(err) == NotFound {
		return nil, StateSummary{}, nil
	}
	if err != nil {
		return nil, StateSummary{}, err
	}
	if plain, err = s.Keys.Open(version.Sealed); err != nil {
		return nil, StateSummary{}, fmt.Errorf("open state of instance %s: %w", i.ID, err)
	}
	summary, err = s.StateFiles.Summary(plain)
	return plain, summary, err
}
