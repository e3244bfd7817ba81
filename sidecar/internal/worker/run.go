package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// run is one run in this worker's hands.
type run struct {
	w        *Worker
	dir      directory
	rec      record
	log      *slog.Logger
	redactor *terraform.Redactor
	reporter *reporter
	opened   *terraform.Run
	found    bool // an earlier process of this worker began it
}

// ending is how a worker is done with a run.
type ending int

const (
	ended   ending = iota // its outcome is known
	left                  // the next start goes on with it
	dropped               // it is not ours any more: wipe it
)

// Why planning ends early.
var (
	errDraining = errors.New("the worker is stopping")
	errLost     = errors.New("the run is no longer this worker's")

	errPlanTooLong = errors.New("planning took too long")
)

type cancelled struct{ reason string }

// Error is the reason.
func (c cancelled) Error() string { return c.reason }

// refused is a plan that Judge has denied.
type refused struct{ error }

// Unwrap is the denial.
func (r refused) Unwrap() error { return r.error }

// live takes the run from where its record says to its end. shutdown ends when
// the worker shall stop, leave when it shall wait for nothing any more.
func (r *run) live(shutdown, leave context.Context) {
	defer r.w.end(r.rec.Claim.RunID)
	sending, stop := context.WithCancel(context.WithoutCancel(leave))
	var sender sync.WaitGroup
	sender.Go(func() { r.reporter.send(sending) })
	how := r.follow(shutdown, leave)
	stop()
	sender.Wait()
	r.reporter.close()
	if how == left {
		r.log.Info("run left for the next start", "phase", r.rec.Phase)
		return
	}
	if err := errors.Join(os.RemoveAll(terraform.TempDir(string(r.dir))), os.RemoveAll(string(r.dir))); err != nil {
		r.log.Error("directory not wiped: it holds secrets", "dir", string(r.dir), "err", err)
	}
}

func (r *run) follow(shutdown, leave context.Context) ending {
	if r.reporter.outcome() == nil {
		outcome, how := r.work(shutdown, leave)
		if how != ended {
			return how
		}
		if err := r.reporter.finish(*outcome); err != nil {
			r.log.Error("outcome not kept; the next start goes on", "err", err)
			return left
		}
		r.log.Info("run ended", "result", outcome.Result, "message", outcome.Message)
	}
	return r.deliver(leave)
}

// work brings a run to its outcome.
func (r *run) work(shutdown, leave context.Context) (*provision.RunOutcome, ending) {
	if r.found && r.rec.Phase == phaseClaimed {
		// Nothing was asked, so another may plan it as well.
		r.release(leave)
		return nil, dropped
	}
	if r.rec.Phase != phaseApplying {
		outcome, how := r.prelude(shutdown)
		if outcome != nil || how != ended {
			return outcome, how
		}
	}
	return r.apply(leave)
}

// prelude plans and asks whether to go on. Without an outcome and an ending
// other than ended the run may apply.
func (r *run) prelude(shutdown context.Context) (*provision.RunOutcome, ending) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(shutdown))
	stop := context.AfterFunc(shutdown, func() { cancel(errDraining) })
	var renewer sync.WaitGroup
	renewer.Go(func() { r.renew(ctx, cancel) })
	defer renewer.Wait()
	defer cancel(nil)
	defer stop()

	var err error
	if r.rec.Phase == phaseClaimed {
		planning, done := context.WithTimeoutCause(ctx, r.rec.Patience.Plan, errPlanTooLong)
		err = r.plan(planning)
		if errors.Is(context.Cause(planning), errPlanTooLong) {
			err = provision.Errorf(provision.Unavailable, "init and plan did not end within %s; see the run's log for what they waited for", r.rec.Patience.Plan)
		}
		done()
	}
	if err == nil {
		err = r.ask(ctx)
	}
	if err == nil {
		return nil, ended
	}
	var asked cancelled
	var denial refused
	switch cause := context.Cause(ctx); {
	case errors.Is(err, errWaits):
		r.log.Info("plan kept; the run has ended until it is approved")
		last, done := context.WithTimeout(context.WithoutCancel(shutdown), r.rec.Patience.RetryMost)
		defer done()
		if !r.reporter.flush(last) {
			r.log.Warn("the end of the run's log was not sent")
		}
		return nil, dropped
	case errors.As(cause, &asked), errors.As(err, &asked):
		r.reporter.say(0, "Cancelled: "+asked.reason)
		return &provision.RunOutcome{Result: provision.ResultCancelled, Message: asked.reason}, ended
	case errors.Is(cause, errLost), errors.Is(err, errLost):
		r.log.Warn("run dropped: it is no longer this worker's")
		return nil, dropped
	case errors.Is(cause, errDraining) && r.rec.Phase == phaseAsked:
		return nil, left // the answer may have been go on
	case errors.Is(cause, errDraining):
		r.release(context.WithoutCancel(shutdown))
		return nil, dropped
	case errors.As(err, &denial):
		message := denial.Error()
		if shown := (*provision.Error)(nil); errors.As(err, &shown) {
			message = shown.Message
		}
		r.reporter.say(0, strings.Split("The plan was refused: "+message, "\n")...)
		return &provision.RunOutcome{Result: provision.ResultRefused, Message: message}, ended
	}
	r.log.Warn("run failed before apply", "err", err)
	return r.failedToPlan(err), ended
}

func (r *run) failedToPlan(err error) *provision.RunOutcome {
	outcome := &provision.RunOutcome{Result: provision.ResultFailed}
	phase := "plan"
	var failure *terraform.Failure
	var shown *provision.Error
	switch {
	case errors.As(err, &failure):
		phase, outcome.Message, outcome.Detail = failure.Phase, failure.Summary(), clip(failure.Detail(), longestLogLine)
	case errors.As(err, &shown) && shown.Kind != provision.Internal:
		outcome.Message = r.redactor.Text(shown.Message)
	default:
		outcome.Message, outcome.Detail = "the worker could not plan", r.redactor.Text(err.Error())
	}
	details := outcome.Message
	if outcome.Detail != "" {
		details += "\n" + outcome.Detail
	}
	r.keep(r.reporter.phase(phase, "failed", details))
	r.reporter.say(0, strings.Split("Failed: "+details, "\n")...)
	return outcome
}

// keep logs that a report could not be written to disk; the run goes on.
func (r *run) keep(err error) {
	if err != nil {
		r.log.Error("report lost: it could not be kept on disk", "err", err)
	}
}

// save puts the record on disk.
func (r *run) save() error { return r.dir.write(recordFile, r.rec) }

// renew keeps the lease until ctx ends; that the run was lost or cancelled it
// tells through cancel.
func (r *run) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		lease, err := r.renewOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && provision.KindOf(err) == provision.Conflict:
			cancel(errLost)
			return
		case err != nil:
			r.log.Warn("lease not renewed", "err", err)
		case lease.Cancel != "":
			cancel(cancelled{lease.Cancel})
			return
		}
		if !pause(ctx, r.rec.Patience.Renew) {
			return
		}
	}
}

func (r *run) renewOnce(ctx context.Context) (provision.Lease, error) {
	ctx, done := context.WithTimeout(ctx, r.rec.Patience.Call)
	defer done()
	return r.w.Control.Renew(ctx, r.rec.Claim.RunID, r.rec.Claim.Token)
}

// release gives the run back; when that does not succeed its lease runs out.
func (r *run) release(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, r.rec.Patience.Call)
	defer done()
	if err := r.w.Control.Release(ctx, r.rec.Claim.RunID, r.rec.Claim.Token); err != nil {
		r.log.Warn("run not released; its lease will run out", "err", err)
		return
	}
	r.log.Info("run released")
}

// call repeats a call to the sidecar until it has an answer that will not
// change: success, or an error that is no passing fault.
func call[T any](ctx context.Context, r *run, what string, try func(context.Context) (T, error)) (T, error) {
	var answer T
	var err error
	answered := retry(ctx, r.rec.Patience.Retry, r.rec.Patience.RetryMost, func(ctx context.Context) bool {
		attempt, done := context.WithTimeout(ctx, r.rec.Patience.Call)
		defer done()
		answer, err = try(attempt)
		switch provision.KindOf(err) {
		case provision.Internal, provision.Unavailable, provision.Unauthenticated:
			if err != nil && ctx.Err() == nil {
				r.log.Warn("the sidecar did not answer; it is asked again", "what", what, "err", err)
			}
			return err == nil
		}
		return true
	})
	if !answered {
		return answer, fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if err != nil {
		return answer, fmt.Errorf("%s: %w", what, err)
	}
	return answer, nil
}

// deliver sends the outcome again and again until the sidecar says that the
// run has ended, and keeps the lease until then.
func (r *run) deliver(leave context.Context) ending {
	ctx, cancel := context.WithCancel(leave)
	var renewer sync.WaitGroup
	renewer.Go(func() {
		for pause(ctx, r.rec.Patience.Renew) {
			_, _ = r.renewOnce(ctx) // once the run has ended this is refused
		}
	})
	defer renewer.Wait()
	defer cancel()

	how := left
	sentAt := time.Now()
	var unknown unknownRun
	retry(ctx, 20*time.Millisecond, 2*time.Second, func(ctx context.Context) bool {
		call, done := context.WithTimeout(ctx, r.rec.Patience.Call)
		defer done()
		view, err := r.w.Control.View(call, r.rec.Claim.RunID)
		switch {
		case err == nil && view.State == provision.RunEnded:
			how = dropped
		case unknown.is(err, r.rec.Patience):
			how = r.orphaned(err)
			return true
		case err != nil && ctx.Err() == nil:
			r.log.Warn("outcome not confirmed; the sidecar is asked again", "err", err)
		}
		if how == left && time.Since(sentAt) > r.rec.Patience.RetryMost {
			r.reporter.again()
			sentAt = time.Now()
		}
		return how != left
	})
	if how == dropped {
		last, done := context.WithTimeout(ctx, r.rec.Patience.RetryMost)
		defer done()
		if !r.reporter.flush(last) {
			r.log.Warn("the end of the run's log was not sent")
		}
	}
	return how
}

// orphaned keeps the sealed state of a run that the sidecar does not know (its
// database may have been replaced), so that what the run made can be found.
func (r *run) orphaned(cause error) ending {
	_, raw, ok := terraform.ReadState(r.dir.work())
	if !ok {
		r.log.Error("the sidecar does not know this run", "err", cause)
		return dropped
	}
	sealed, err := seal(r.rec.Claim.StateRecipients, raw)
	path := filepath.Join(r.w.Config.Root, "orphans", r.rec.Claim.RunID.String()+".tfstate.age")
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, sealed, 0o600))
	}
	if err != nil {
		r.log.Error("the sidecar does not know this run, and its state could not be kept; its directory stays", "err", err)
		return left
	}
	r.log.Error("the sidecar does not know this run; its sealed state is kept", "path", path, "err", cause)
	return dropped
}
