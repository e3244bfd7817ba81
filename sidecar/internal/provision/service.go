package provision

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Service accepts asks and answers for them. It authorises, validates and
// judges; the Store keeps what it decides. It may be used from many goroutines.
type Service struct {
	Catalog      Catalog
	Judge        Judge
	Authorizer   Authorizer
	Store        Store
	Keys         Keys
	StateFiles   StateFiles
	Environments map[string]Environment
	Directory    Directory        // nil: no approval can be given
	Calendar     Calendar         // nil: nothing is held and nobody is exempt
	Line         Line             // nil: a queued request does not say where it stands
	Limits       func() Limits    // those in force now; nil is the zero value
	History      History          // nil: nothing is said of how long things take
	Publication  *Publication     // what Catalog shows; nil: every version is published
	Now          func() time.Time // the sidecar's clock, for verdicts only; the database's decides everything else

	Trace func(ctx context.Context) string // the traceparent of what is going on; nil traces nothing

	AlternativesWithin time.Duration // how long a denial waits for what would be allowed; 0 is 150 ms
	ApprovalTimeout    time.Duration // how long a request waits for approval before it is denied; 0 is 72 h
}

// Submission is an ask as it came through a door.
type Submission struct {
	Offering       string
	Parameters     Parameters
	Task           string        // scaffolder task, "" when none
	IdempotencyKey string        // "" when the door does not ask for one
	ExpiresIn      time.Duration // of a create: how long it lives; 0 is the offering's default
	Preview        *PullRequest  // of a create: the ephemeral environment that it is part of; nil for none
	Rollout        *Rollout      // of an upgrade: the campaign that asks for it; nil when none does
	Confirm        string        // of a destroy: the instance's name as it was typed, "" when it was not
}

// Submit judges an ask and accepts it: the request is stored and queued when
// Submit returns nil. A denial is stored too and returned as Denied with every
// finding and the request's id; a taken name is a stored Conflict. The same
// principal, key and body get the same answer again; another body is a Conflict.
func (s *Service) Submit(ctx context.Context, p Principal, sub Submission) (Request, error) {
	ask, err := s.prepare(ctx, p.about(Create, sub.Preview), sub.Offering, sub.Parameters, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	if ask.judged.Lifetime, err = ask.offering.lifetime(sub.ExpiresIn); err != nil {
		return Request{}, err
	}
	if sub.ExpiresIn > 0 {
		ask.digest += "+" + LifetimeText(sub.ExpiresIn)
	}
	return s.submit(ctx, p, sub, ask)
}

// submit judges an ask for something new and accepts it.
func (s *Service) submit(ctx context.Context, p Principal, sub Submission, ask prepared) (Request, error) {
	return s.whileOthersSpend(ctx, &ask.judged, nil, func() (Request, error) { return s.submitOnce(ctx, p, sub, ask) })
}

func (s *Service) submitOnce(ctx context.Context, p Principal, sub Submission, ask prepared) (Request, error) {
	verdict, err := s.Judge.Judge(ctx, ask.judged)
	if err != nil {
		return Request{}, err
	}
	verdict, approval, err := s.approvalFor(ctx, verdict, p.Subject)
	if err != nil {
		return Request{}, err
	}
	request := s.newRequest(ctx, p, sub, ask, verdict)
	request.Approval = approval
	if !verdict.Acceptable() {
		record := Refused(request, "", verdict.At)
		if err := s.Store.Refuse(ctx, record); err != nil {
			first, err := s.replayed(err, request)
			return first, s.withAlternatives(ctx, err, ask.judged)
		}
		return record.Request, s.withAlternatives(ctx, denial(record.Request), ask.judged)
	}
	if ask.owner == "" {
		return Request{}, Errorf(Denied, "no policy asks for an owner, and nothing may be made that nobody owns; give %s", ask.offering.Roles.Owner)
	}
	instance := Instance{
		ID: NewID(), Offering: ask.offering.ID, OfferingVersion: ask.offering.Version, OfferingDigest: ask.offering.Digest,
		Environment: ask.environment.Name, Name: ask.name, Owner: ask.owner, CostCenter: ask.costCenter,
		State: Reserved, Generation: 1, Parameters: ask.sealed, Links: ask.links, Imports: ask.imports, MonthlyCost: request.MonthlyCost, RequestID: request.ID,
		CredentialsVersion: 1,
		Preview:            sub.Preview,
		Lifetime:           request.Lifetime, Grace: time.Duration(ask.offering.Expiry.GraceSeconds) * time.Second,
	}
	instance.ShortID = shortID(instance.ID)
	request.InstanceID, request.Generation = instance.ID, 1
	record := Accepted(request, instance, stepsOf(request.Action, ask.offering), verdict.At)
	err = s.accept(ctx, record)
	if errors.Is(err, ErrBudget) {
		return Request{}, err
	}
	if KindOf(err) == Conflict {
		return s.conflicted(ctx, request, err)
	}
	if err != nil {
		return s.replayed(err, request)
	}
	return record.Request, nil
}

// Cancel stops a request: at once when no worker has it, else by its worker.
func (s *Service) Cancel(ctx context.Context, p Principal, id uuid.UUID, reason string) (Request, error) {
	request, err := s.Store.Request(ctx, id)
	if err != nil {
		return Request{}, err
	}
	if err := s.allowed(ctx, p, VerbCancel, request); err != nil {
		return Request{}, err
	}
	record, err := s.Store.Change(ctx, id, func(r *Record) error { return r.Cancel(reason) })
	if err != nil {
		return Request{}, err
	}
	return record.Request, nil
}

func (s *Service) conflicted(ctx context.Context, request Request, conflict error) (Request, error) {
	request.InstanceID, request.Generation = uuid.Nil, 0
	record := Refused(request, conflict.Error(), request.Verdict.At)
	if err := s.Store.Refuse(ctx, record); err != nil {
		return s.replayed(err, request)
	}
	return record.Request, conflictOf(record.Request)
}

// replayed turns a Replay into the answer that was given the first time.
func (s *Service) replayed(err error, asked Request) (Request, error) {
	var replay *Replay
	if !errors.As(err, &replay) {
		return Request{}, err
	}
	if replay.Request.BodyDigest != asked.BodyDigest {
		return Request{}, Errorf(Conflict, "this Idempotency-Key was used for another request, %s; use a new key for a new ask", replay.Request.ID)
	}
	first := replay.Request
	switch {
	case first.Generation > 0: // it was accepted then, whatever became of it
		return first, nil
	case first.Verdict.Acceptable():
		return first, conflictOf(first)
	default:
		return first, denial(first)
	}
}

// withAlternatives adds to a denial what would be allowed, if that is found in
// time; it is a help and never changes the answer.
func (s *Service) withAlternatives(ctx context.Context, err error, ask Ask) error {
	var denied *Error
	if !errors.As(err, &denied) || denied.Kind != Denied {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.AlternativesWithin, 150*time.Millisecond))
	defer cancel()
	if advice, err := s.Judge.Advise(ctx, ask); err == nil {
		denied.Alternatives = advice.Alternatives
	}
	return err
}

func denial(r Request) error {
	return &Error{Kind: Denied, Message: r.Error.Message, Findings: r.Verdict.Findings, RequestID: r.ID.String()}
}

func conflictOf(r Request) error {
	return &Error{Kind: Conflict, Message: r.Error.Message, RequestID: r.ID.String()}
}

func shortID(id uuid.UUID) string {
	sum := sha256.Sum256(id[:])
	return hex.EncodeToString(sum[:4])
}

// prepared is a submission that is authorised and valid.
type prepared struct {
	offering    Offering
	environment Environment
	name        string
	owner       string
	costCenter  string
	sealed      Parameters // sensitive values sealed for the pool
	links       []Link
	imports     []Imported
	judged      Ask
	digest      string // of offering and parameters
}

func (s *Service) prepare(ctx context.Context, p Principal, offeringID string, raw Parameters, stage Stage) (prepared, error) {
	if err := asker(p); err != nil {
		return prepared{}, err
	}
	offering, err := s.Catalog.Offering(offeringID)
	if err != nil {
		return prepared{}, err
	}
	parameters, err := s.Catalog.Check(offering, raw)
	if err != nil {
		return prepared{}, err
	}
	ask := prepared{
		offering: offering, name: parameters.Text(offering.Roles.Name),
		owner: OwnerRef(parameters.Text(offering.Roles.Owner)), costCenter: parameters.Text(offering.Roles.CostCenter),
	}
	environment, err := s.place(offering, parameters.Text(offering.Roles.Environment))
	if err != nil {
		return prepared{}, err
	}
	ask.environment = environment
	// Without an owner there is nobody to ask for; the guardrails say so, and Submit holds it.
	if ask.owner != "" {
		if err := s.Authorizer.Allow(ctx, Access{p, VerbSubmit, ask.owner, environment.Name}); err != nil {
			return prepared{}, err
		}
	}
	if ask.links, err = s.link(ctx, p, offering, environment.Name, parameters, nil); err != nil {
		return prepared{}, err
	}
	encoded, err := json.Marshal(parameters)
	if err != nil {
		return prepared{}, fmt.Errorf("encode parameters: %w", err)
	}
	sum := sha256.Sum256(append([]byte(offeringID+"\n"), encoded...))
	ask.digest = hex.EncodeToString(sum[:])
	if ask.sealed, err = s.seal(offering, environment.Pool, parameters, stage); err != nil {
		return prepared{}, err
	}
	ask.judged = Ask{
		Stage: stage, Action: Create, Principal: p, Offering: offering, Environment: environment,
		Name: ask.name, Owner: ask.owner, CostCenter: ask.costCenter,
		Parameters: unsealed(ask.sealed), At: s.Now().UTC(),
	}
	return ask, nil
}

func person(p Principal) error {
	if !p.IsUser() {
		return Errorf(Denied, "only a person may ask for infrastructure; %s asked on nobody's behalf", p.Subject)
	}
	return nil
}

// place is the environment called name, if the offering can be made there.
func (s *Service) place(o Offering, name string) (Environment, error) {
	environment, ok := s.Environments[name]
	var err *Error
	switch {
	case !ok:
		err = Errorf(Invalid, "environment %q is not configured; there are %s", name, strings.Join(s.environmentNames(), ", "))
	case !slices.Contains(o.Implementations, environment.Implementation):
		err = Errorf(Invalid, "%s cannot be made in %s: it has no %q implementation", o.Name, name, environment.Implementation)
	default:
		return environment, nil
	}
	err.Details = []Fault{{Path: "/" + o.Roles.Environment, Message: err.Message}}
	return Environment{}, err
}

func (s *Service) environmentNames() []string {
	names := []string{}
	for name := range s.Environments {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *Service) newRequest(ctx context.Context, p Principal, sub Submission, ask prepared, verdict Verdict) Request {
	request := Request{
		ID: NewID(), Action: ask.judged.Action, Offering: ask.offering.ID, OfferingVersion: ask.offering.Version, OfferingDigest: ask.offering.Digest,
		Environment: ask.environment.Name, Name: ask.name, Owner: ask.owner, CostCenter: ask.costCenter, Parameters: ask.sealed, Links: ask.links,
		RequestedBy: p.Subject, Actor: p.Actor, Task: sub.Task, IdempotencyKey: sub.IdempotencyKey, BodyDigest: ask.digest,
		Lifetime: ask.judged.Lifetime, Verdict: verdict, Rollout: sub.Rollout,
	}
	if verdict.Estimate != nil {
		cost := verdict.Estimate.MonthlyCost
		request.MonthlyCost = &cost
	}
	if s.Trace != nil {
		request.Trace = s.Trace(ctx)
	}
	return request
}

// OwnerRef is the entity ref of a team that a form may give as a bare name.
func OwnerRef(team string) string {
	if team == "" || strings.Contains(team, ":") {
		return team
	}
	if strings.Contains(team, "/") {
		return "group:" + team
	}
	return "group:default/" + team
}
