package provision

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
)

// Check is what a worker gets to find out whether an instance is as it was asked
// for: a plan of the unchanged parameters on the state that there is.
type Check struct {
	ID                 uuid.UUID         `json:"id"` // the instance's for a drift check
	InstanceID         uuid.UUID         `json:"instance_id"`
	ShortID            string            `json:"short_id"`
	RequestID          uuid.UUID         `json:"request_id"` // whose run left the state
	Token              string            `json:"token"`      // opens this check's routes until it is finished
	LeaseSeconds       int               `json:"lease_seconds"`
	Offering           string            `json:"offering"`
	OfferingDigest     string            `json:"offering_digest"`
	Implementation     string            `json:"implementation"`
	Environment        Environment       `json:"environment"`
	Name               string            `json:"name"`
	Owner              string            `json:"owner"`
	Parameters         Parameters        `json:"parameters"`
	Tags               map[string]string `json:"tags"`
	CredentialsVersion int64             `json:"credentials_version"` // what the module makes credentials by
	Imports            []Imported        `json:"imports,omitempty"`   // what the instance has taken over
	Activity           *ActivityRule     `json:"activity,omitempty"`  // what to measure besides; nil is nothing
}

// Checked is what a check found: the plan's changes and what has changed behind
// Terraform's back, both without secrets. Failure says why it could not tell.
type Checked struct {
	Changes  []Change `json:"changes"`
	Drifted  []Change `json:"drifted"`
	Failure  string   `json:"failure,omitempty"`
	Activity *Reading `json:"activity,omitempty"` // measured whether or not the rest failed
}

// dueAtOnce is how many due checks are looked at to find one to give.
const dueAtOnce = 10

// ClaimCheck gives a worker the check that has been due the longest, or nil when
// none is. A busy worker, which has no slot free, gets one only when it is due
// for an hour: checks wait for applies, but not for ever.
func (s *Runs) ClaimCheck(ctx context.Context, pool, worker string, busy bool) (*Check, error) {
	due := DueChecks{Asked: s.DriftEvery == 0, Limit: dueAtOnce}
	for name, environment := range s.Service.Environments {
		if environment.Pool == pool {
			due.Environments = append(due.Environments, name)
		}
	}
	if busy {
		due.Late = time.Hour
	}
	ids, err := s.Service.Store.DueChecks(ctx, due)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		check, err := s.claimCheck(ctx, worker, id)
		if KindOf(err) == Conflict {
			continue // another worker was faster, or a request came
		}
		if check != nil || err != nil {
			return check, err
		}
	}
	return s.claimPlan(ctx, worker, due)
}

// claimCheck is nil when the check may not be made; then it is put off.
func (s *Runs) claimCheck(ctx context.Context, worker string, id uuid.UUID) (*Check, error) {
	token, lease := newToken(), cmp.Or(s.CheckLease, 30*time.Minute)
	instance, err := s.Service.Store.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	// A person was authorised when they asked; what nobody asked for is authorised now.
	allowed := s.Service.Authorizer.Allow(ctx, Access{Principal{Subject: DriftSubject}, VerbCheckDrift, instance.Owner, instance.Environment})
	if allowed != nil && KindOf(allowed) != Denied {
		return nil, allowed
	}
	record, err := s.Service.Store.ChangeDrift(ctx, id, func(r *DriftRecord) error {
		if allowed != nil && (r.Check.AskedBy == DriftSubject || r.Check.AskedBy == "") {
			r.Postpone(s.DriftEvery)
			return nil
		}
		return r.Claim(worker, tokenDigest(token), lease)
	})
	if err != nil || record.Check.TokenDigest != tokenDigest(token) {
		return nil, err
	}
	i := record.Instance
	offering, _, err := s.Service.Store.Bundle(ctx, i.OfferingDigest)
	if err != nil {
		return nil, err
	}
	parameters, err := s.Service.resolved(ctx, i.Parameters, i.Links)
	if err != nil {
		return nil, err
	}
	check := s.checkOf(record, offering, parameters, i.CostCenter)
	check.ID, check.Token, check.LeaseSeconds = i.ID, token, int(lease/time.Second)
	check.Activity = offering.activity(check.Implementation)
	return check, nil
}

// checkOf is a check of a record's instance: a plan of parameters by an offering,
// on the state that there is and in the name of the request that left it.
func (s *Runs) checkOf(r *DriftRecord, o Offering, parameters Parameters, costCenter string) *Check {
	i, environment := r.Instance, s.Service.Environments[r.Instance.Environment]
	applied := Request{ID: r.AppliedBy, Name: i.Name, Environment: i.Environment, Owner: i.Owner, CostCenter: costCenter}
	return &Check{
		InstanceID: i.ID, ShortID: i.ShortID, RequestID: r.AppliedBy, Offering: o.ID, OfferingDigest: o.Digest,
		Implementation: environment.Implementation, Environment: environment, Name: i.Name, Owner: i.Owner,
		Parameters: parameters, Tags: tags(o, applied, i.labels(i.Lifetime)), CredentialsVersion: i.CredentialsVersion, Imports: i.Imports,
	}
}

// newToken is a secret that nobody can guess.
func newToken() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: it ends the process instead
	return hex.EncodeToString(secret)
}

// CheckedState is the sealed state that a check goes on from.
func (s *Runs) CheckedState(ctx context.Context, pool string, id uuid.UUID, token string) (StateVersion, error) {
	instanceID, err := s.plannedInstance(ctx, pool, id, token)
	if err != nil || instanceID != uuid.Nil {
		if err != nil {
			return StateVersion{}, err
		}
		return s.Service.Store.LatestState(ctx, instanceID)
	}
	instanceID = id
	_, err = s.Service.Store.ChangeDrift(ctx, instanceID, func(r *DriftRecord) error { return s.authenticateCheck(r, pool, token) })
	if err != nil {
		return StateVersion{}, err
	}
	return s.Service.Store.LatestState(ctx, instanceID)
}

// FinishCheck takes what a check found. A Conflict means that the check is not
// the caller's any more; what it found is dropped.
func (s *Runs) FinishCheck(ctx context.Context, pool string, instanceID uuid.UUID, token string, found Checked) error {
	if planned, err := s.finishPlan(ctx, pool, instanceID, token, found); planned || err != nil {
		return err
	}
	instance, err := s.Service.Store.Instance(ctx, instanceID)
	if err != nil {
		return err
	}
	offering, _, err := s.Service.Store.Bundle(ctx, instance.OfferingDigest)
	if err != nil {
		return err
	}
	values, err := s.Service.resolved(ctx, instance.Parameters, instance.Links)
	if err != nil {
		return err
	}
	_, err = s.Service.Store.ChangeDrift(ctx, instanceID, func(r *DriftRecord) error {
		if err := s.authenticateCheck(r, pool, token); err != nil {
			return err
		}
		r.Measure(offering.activity(s.Service.Environments[instance.Environment].Implementation), found.Activity)
		r.Finish(followed(Differences(offering, r.Instance, found.Changes, found.Drifted), instance.Links, values), found.Failure, s.DriftEvery)
		return nil
	})
	return err
}

func (s *Runs) authenticateCheck(r *DriftRecord, pool, token string) error {
	if s.Service.Environments[r.Instance.Environment].Pool != pool {
		return Errorf(NotFound, "there is no check of instance %s in pool %s", r.Instance.ID, pool)
	}
	if r.Check.TokenDigest == "" || subtle.ConstantTimeCompare([]byte(r.Check.TokenDigest), []byte(tokenDigest(token))) != 1 {
		return Errorf(Conflict, "this check is no longer yours: it has ended or was given to another worker")
	}
	return nil
}
