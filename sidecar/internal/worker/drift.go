package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// Checks is the part of Control that drift checks need.
type Checks interface {
	// ClaimCheck is the check that is due, or nil. busy says that every slot is
	// taken.
	ClaimCheck(ctx context.Context, busy bool) (*provision.Check, error)
	// CheckedState is the sealed state of a check's instance.
	CheckedState(ctx context.Context, checkID uuid.UUID, token string) (provision.StateVersion, error)
	// FinishCheck tells what was found. Conflict: nobody waits for it any more.
	FinishCheck(ctx context.Context, checkID uuid.UUID, token string, found provision.Checked) error
}

// checkDrift makes drift checks, one at a time and beside the slots for runs, so
// that no run waits for one, until ctx ends. A check is in no hurry and leaves
// nothing behind: one that is cut short is made again by whoever comes next.
func (w *Worker) checkDrift(ctx context.Context) {
	wait := w.Config.CheckEvery
	if wait <= 0 {
		wait = 2 * time.Second
	}
	for pause(ctx, wait) {
		for w.checkNext(ctx) && ctx.Err() == nil {
			continue
		}
	}
}

// checkNext makes the check that is due; ok is false when there was none.
func (w *Worker) checkNext(ctx context.Context) (ok bool) {
	patience := w.Config.Patience.orDefault(time.Minute)
	call, done := context.WithTimeout(ctx, patience.Call)
	defer done()
	check, err := w.Control.ClaimCheck(call, w.busy())
	if err != nil && ctx.Err() == nil {
		w.Log.Debug("no drift check claimed", "err", err)
	}
	if err != nil || check == nil {
		return false
	}
	log := w.Log.With("instance_id", check.InstanceID, "offering", check.Offering)
	limit, stop := context.WithTimeout(ctx, min(patience.Plan, time.Duration(check.LeaseSeconds)*time.Second))
	defer stop()
	found, err := w.check(limit, *check, patience)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		log.Warn("drift check failed", "err", err)
		found.Failure = whyNot(err)
	}
	tell, told := context.WithTimeout(ctx, patience.Call)
	defer told()
	err = w.Control.FinishCheck(tell, check.ID, check.Token, found)
	log.Info("drift checked", "planned", len(found.Changes), "drifted", len(found.Drifted), "err", err)
	return err == nil
}

// busy reports whether every slot has a run.
func (w *Worker) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.active) >= max(w.Config.Slots, 1)
}

// check measures activity and plans in a directory of its own, which is wiped.
// What it has measured it answers though the plan fails.
func (w *Worker) check(ctx context.Context, check provision.Check, patience Patience) (provision.Checked, error) {
	var found provision.Checked
	if err := os.MkdirAll(filepath.Join(w.Config.Root, "checks"), 0o700); err != nil {
		return found, fmt.Errorf("make the folder of checks: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Join(w.Config.Root, "checks"), "check-")
	if err != nil {
		return found, fmt.Errorf("make a check's folder: %w", err)
	}
	defer func() {
		if err := errors.Join(os.RemoveAll(terraform.TempDir(dir)), os.RemoveAll(dir)); err != nil {
			w.Log.Error("directory not wiped: it holds secrets", "dir", dir, "err", err)
		}
	}()
	redactor := &terraform.Redactor{}
	redactor.Add([]any{check.Token, w.Config.Connection.Token})
	// What a run does before it plans, without a word about it to anyone.
	r := &run{w: w, dir: directory(dir), redactor: redactor, log: w.Log, rec: record{Patience: patience, Claim: claimOf(check)}}
	tf, err := w.Config.Terraform.Open(dir, w.Config.Terraform.Binary.Path, redactor)
	if err != nil {
		return found, err
	}
	version, err := call(ctx, r, "fetch state", func(ctx context.Context) (provision.StateVersion, error) {
		return w.Control.CheckedState(ctx, check.ID, check.Token)
	})
	if err != nil {
		return found, err
	}
	raw, err := w.Open(version.Sealed)
	if err != nil {
		return found, provision.Errorf(provision.Unavailable, "the state of instance %s cannot be opened with this pool's key: give the worker the key that it was sealed for", check.InstanceID)
	}
	if check.Activity != nil {
		found.Activity = w.measure(ctx, check, raw)
	}
	prepared, err := w.Config.Terraform.Prepare(ctx, filepath.Join(w.Config.Root, "prepared"), check.OfferingDigest, check.Implementation, r.module)
	if err != nil {
		return found, err
	}
	if err := tf.Fill(prepared); err != nil {
		return found, err
	}
	values, sealed, err := r.variables()
	if err != nil {
		return found, err
	}
	if err := tf.WriteVariables(prepared, values, sealed); err != nil {
		return found, err
	}
	if _, err := tf.WriteState(raw); err != nil {
		return found, err
	}
	planned, drifted, err := tf.Check(ctx)
	if err != nil {
		return found, err
	}
	found.Changes, found.Drifted = planned, drifted
	return found, nil
}

// measure reads how an instance is used. What prevents it is the reading.
func (w *Worker) measure(ctx context.Context, check provision.Check, state []byte) *provision.Reading {
	parsed, err := terraform.ParseState(state)
	if err != nil {
		return &provision.Reading{Failure: "the instance's state cannot be read"}
	}
	reading, err := w.Measure(ctx, *check.Activity, check.Environment, parsed.AllOutputs(), w.Config.Terraform.Variables)
	if err != nil {
		w.Log.Warn("activity not measured", "err", err)
		return &provision.Reading{Failure: whyNot(err)}
	}
	return &reading
}

// claimOf is the check as a run's claim, for what both have from the module's
// inputs to its folder.
func claimOf(check provision.Check) provision.Claim {
	return provision.Claim{
		RequestID: check.RequestID, InstanceID: check.InstanceID, ShortID: check.ShortID, Offering: check.Offering,
		OfferingDigest: check.OfferingDigest, Implementation: check.Implementation, Environment: check.Environment,
		Name: check.Name, Owner: check.Owner, Parameters: check.Parameters, Tags: check.Tags,
		CredentialsVersion: check.CredentialsVersion, Imports: check.Imports,
	}
}

// whyNot is a failure for people, without secrets.
func whyNot(err error) string {
	var failure *terraform.Failure
	var shown *provision.Error
	switch {
	case errors.As(err, &failure):
		return clip(failure.Summary(), longestFailure)
	case errors.As(err, &shown) && shown.Kind != provision.Internal:
		return clip(shown.Message, longestFailure)
	case errors.Is(err, context.DeadlineExceeded):
		return "the check took too long"
	}
	return "the worker could not tell; its log says why"
}

// longestFailure is how much of a failure is told, in bytes.
const longestFailure = 2000
