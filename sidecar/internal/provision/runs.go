package provision

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"
)

// Runs is the side of the service that workers speak to.
type Runs struct {
	Service *Service
	Lease   time.Duration // how long a claim lasts without renewal

	DriftEvery time.Duration // between drift checks of an instance; 0 makes only those that are asked for
	CheckLease time.Duration // after which a drift check that was not finished is made anew; 0 is 30 min
}

// Lease is what a renewal answers.
type Lease struct {
	ExpiresAt time.Time `json:"expires_at"`
	Cancel    string    `json:"cancel,omitempty"` // the reason, once someone asked to cancel
	Now       time.Time `json:"now"`              // the database's clock
}

// RunView is how a run stands, for its worker.
type RunView struct {
	State        RunState `json:"state"`
	RequestState State    `json:"request_state"`
}

// Claim gives a dispatched run of the pool to a worker. A run that is held,
// ended or of another pool is a Conflict: the worker drops the job.
func (s *Runs) Claim(ctx context.Context, pool, worker string, runID uuid.UUID) (Claim, error) {
	token := newToken()
	record, err := s.Service.Store.ChangeRun(ctx, runID, func(r *Record) error {
		if r.Run.Pool != pool {
			return Errorf(Conflict, "run %s is for pool %s", runID, r.Run.Pool)
		}
		return r.Claim(worker, tokenDigest(token), s.Lease)
	})
	if err != nil {
		return Claim{}, err
	}
	offering, _, err := s.Service.Store.Bundle(ctx, record.Request.OfferingDigest)
	if err != nil {
		return Claim{}, err
	}
	environment := s.Service.Environments[record.Request.Environment]
	recipients, err := s.Service.Keys.Recipients(pool)
	if err != nil {
		return Claim{}, err
	}
	parameters, err := s.Service.resolved(ctx, record.Request.Parameters, record.Request.Links)
	if err != nil {
		return Claim{}, err
	}
	journal, err := s.Service.Store.Journal(ctx, record.Instance.ID)
	if err != nil {
		return Claim{}, err
	}
	return Claim{
		RunID: runID, RequestID: record.Request.ID, InstanceID: record.Instance.ID, ShortID: record.Instance.ShortID,
		Action: record.Request.Action, Fence: record.Run.Fence, Token: token, LeaseSeconds: int(s.Lease / time.Second),
		Offering: offering.ID, OfferingDigest: offering.Digest, Implementation: environment.Implementation, Environment: environment,
		Name: record.Request.Name, Owner: record.Request.Owner, Parameters: parameters,
		Tags: tags(offering, record.Request, record.Instance.labels(record.Request.Lifetime)), ApplyTimeoutSeconds: int(offering.ApplyTimeout / time.Second), StateRecipients: recipients,
		PlanDigest: record.Request.Approval.approvedPlan(), CredentialsVersion: record.credentialsVersion(),
		Made: madeOf(journal), Imports: record.Instance.Imports,
	}, nil
}

// tags are put on whatever is made, so that its bill and its owner can be found.
func tags(o Offering, r Request, labels map[string]string) map[string]string {
	tags := map[string]string{}
	for key, value := range o.Tags {
		tags[key] = value
	}
	maps.Copy(tags, labels)
	tags["Name"], tags["Environment"] = r.Name, r.Environment
	tags["Team"], tags["CostCenter"] = r.Owner, r.CostCenter
	tags["ManagedBy"], tags["RequestID"] = "platform", r.ID.String()
	return tags
}

// Authenticate is nil when token opens the routes of this run.
func (s *Runs) Authenticate(r *Record, token string) error {
	if r.Run == nil || r.Run.TokenDigest == "" || subtle.ConstantTimeCompare([]byte(r.Run.TokenDigest), []byte(tokenDigest(token))) != 1 {
		return Errorf(Conflict, "this run is no longer yours: it has ended or was given to another worker")
	}
	return nil
}

func (s *Runs) change(ctx context.Context, runID uuid.UUID, token string, decide func(*Record) error) (*Record, error) {
	return s.Service.Store.ChangeRun(ctx, runID, func(r *Record) error {
		if err := s.Authenticate(r, token); err != nil {
			return err
		}
		return decide(r)
	})
}

// Renew extends the lease. A Conflict means that the run is no longer the
// worker's: before apply it must stop, during apply it lets Terraform finish.
func (s *Runs) Renew(ctx context.Context, runID uuid.UUID, token string) (Lease, error) {
	record, err := s.change(ctx, runID, token, func(r *Record) error { return r.Renew(s.Lease) })
	if err != nil {
		return Lease{}, err
	}
	return Lease{ExpiresAt: record.Run.LeaseExpiresAt, Cancel: record.Request.CancelReason, Now: record.Now()}, nil
}

// Release gives the run back before apply; the request is queued again.
func (s *Runs) Release(ctx context.Context, runID uuid.UUID, token string) error {
	_, err := s.change(ctx, runID, token, func(r *Record) error { return r.Release() })
	return err
}

// Plan judges a plan's changes: nil lets the run apply, ErrWait wants people to
// approve it first, Denied refuses it with every finding. It may be repeated
// with the same answer.
func (s *Runs) Plan(ctx context.Context, runID uuid.UUID, token string, changes []Change) error {
	var people map[string][]string
	for tries := 1; ; tries++ {
		var judged Verdict
		wait := false
		record, err := s.change(ctx, runID, token, func(r *Record) error {
			switch r.Request.State {
			case DeniedState, Applying:
				judged = r.Request.Verdict
				return nil
			case Lost: // it may apply, and has not heard so for longer than its lease
				judged = r.Request.Verdict
				return r.Renew(s.Lease)
			}
			verdict, err := s.judgeAgain(ctx, r, StagePlan, changes)
			if err != nil {
				return err
			}
			judged = verdict
			switch {
			case verdict.Outcome != OutcomeRequireApproval:
			case s.Service.Directory == nil:
				judged = refused(verdict, NoApprovals)
			case people == nil && !r.knowsApprovers(verdict.Findings):
				return errUnknownPeople
			}
			wait, err = r.Decide(Planned{Verdict: judged, Changes: changes, People: people})
			return err
		})
		switch {
		case errors.Is(err, errUnknownPeople): // not while the record is locked
			if people, err = s.Service.members(ctx, judged.Findings, nil); err != nil {
				return err
			}
			continue
		case errors.Is(err, ErrBudget):
			if tries < budgetTries {
				continue
			}
			return errContended
		case err != nil:
			return err
		case wait:
			return ErrWait
		case record.Request.State == DeniedState:
			return &Error{Kind: Denied, Message: record.Request.Error.Message, Findings: record.Request.Verdict.Findings, RequestID: record.Request.ID.String()}
		}
		return nil
	}
}

// JudgeQueued judges a queued request again, now that its turn has come.
func (s *Runs) JudgeQueued(ctx context.Context, r *Record) (Verdict, error) {
	return s.judgeAgain(ctx, r, StageQueue, nil)
}

func (s *Runs) judgeAgain(ctx context.Context, r *Record, stage Stage, changes []Change) (Verdict, error) {
	offering, _, err := s.Service.Store.Bundle(ctx, r.Request.OfferingDigest)
	if err != nil {
		return Verdict{}, err
	}
	offering.State = s.Service.versionState(offering.Digest)
	environment, ok := s.Service.Environments[r.Request.Environment]
	if !ok {
		return Verdict{}, Errorf(Unavailable, "environment %q is not configured; restore its file and the request goes on", r.Request.Environment)
	}
	ask := Ask{
		Stage: stage, Action: r.Request.Action, Principal: Principal{Subject: r.Request.RequestedBy, Groups: []string{r.Request.Owner}},
		Offering: offering, Environment: environment, Name: r.Request.Name, Owner: r.Request.Owner, CostCenter: r.Request.CostCenter,
		Parameters: r.Request.Shown(), Changes: changes, Lifetime: r.Request.Lifetime, At: r.Now(), Balances: others(r.Balances, *r.Instance, r.held()),
	}
	if !r.Request.Action.makes() {
		now, err := s.offeringOf(ctx, *r.Instance, offering)
		if err != nil {
			return Verdict{}, err
		}
		ask.Before, ask.Was = r.Instance.Shown(), wasOf(*r.Instance, now)
	}
	if stage.planned() && r.Request.Rollout != nil {
		ask.Rollout = r.Request.Rollout.planned(changes, r.Request.ID)
	}
	if r.Request.Action == Extend {
		ask.LifetimeBefore = r.Instance.Lifetime
	}
	if drift := r.Instance.Drift; drift != nil && (r.Request.Action == Revert || r.Request.Action == Adopt) {
		ask.Drifted = drift.Addresses()
	}
	verdict, err := s.Service.Judge.Judge(ctx, ask)
	return ask.Rollout.held(verdict), err
}

// offeringOf is the offering that an instance is of; asked is the one that a
// request asks for.
func (s *Runs) offeringOf(ctx context.Context, i Instance, asked Offering) (Offering, error) {
	if i.OfferingDigest == asked.Digest {
		return asked, nil
	}
	now, _, err := s.Service.Store.Bundle(ctx, i.OfferingDigest)
	return now, err
}

// View tells a worker how its run stands; it needs no run token, because a
// worker asks it after the run has ended and the token with it.
func (s *Runs) View(ctx context.Context, pool string, runID uuid.UUID) (RunView, error) {
	var view RunView
	_, err := s.Service.Store.ChangeRun(ctx, runID, func(r *Record) error {
		if r.Run.Pool != pool {
			return Errorf(NotFound, "there is no run %s in pool %s", runID, pool)
		}
		view = RunView{State: r.Run.State, RequestState: r.Request.State}
		return nil
	})
	return view, err
}

// PushState keeps a sealed state of the run. It is never refused for being
// late: a run that has lost its token pushes too, and its version is kept aside.
func (s *Runs) PushState(ctx context.Context, pool string, version StateVersion) (head bool, err error) {
	_, err = s.Service.Store.ChangeRun(ctx, version.RunID, func(r *Record) error {
		if r.Run.Pool != pool {
			return Errorf(NotFound, "there is no run %s in pool %s", version.RunID, pool)
		}
		version.InstanceID = r.Run.InstanceID
		return nil
	})
	if err != nil {
		return false, err
	}
	return s.Service.Store.PushState(ctx, version)
}

// LatestState is the sealed state that a run goes on from; NotFound at first.
func (s *Runs) LatestState(ctx context.Context, runID uuid.UUID, token string) (StateVersion, error) {
	record, err := s.change(ctx, runID, token, func(*Record) error { return nil })
	if err != nil {
		return StateVersion{}, err
	}
	return s.Service.Store.LatestState(ctx, record.Instance.ID)
}

func tokenDigest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
