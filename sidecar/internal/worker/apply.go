package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// apply executes the plan, or attaches to the supervisor that already does, and
// returns the outcome once Terraform has ended and its state is with the
// sidecar. When leave ends first Terraform goes on without us.
func (r *run) apply(leave context.Context) (*provision.RunOutcome, ending) {
	tf, err := r.terraform()
	if err != nil {
		r.log.Error("apply not taken up; the next start tries again", "err", err)
		return nil, left
	}
	if r.found {
		r.learn(leave, tf)
		if outcome, how := r.mayBegin(leave); outcome != nil || how != ended {
			return outcome, how
		}
	}
	if err := os.Remove(r.dir.path(detachFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Warn("detach mark not removed", "err", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(leave))
	defer cancel()
	stop := context.AfterFunc(leave, func() {
		if err := r.dir.write(detachFile, true); err != nil {
			r.log.Error("apply not left to its supervisor: it will be stopped", "err", err)
		}
		cancel()
	})
	defer stop()

	r.keep(r.reporter.phase("apply", "started", ""))
	var heard *narrator
	for {
		heard = newNarrator(r)
		err := tf.Apply(ctx, heard.hear)
		if r.dir.has(exitFile) {
			break
		}
		if ctx.Err() != nil {
			return nil, left
		}
		r.log.Warn("shim ended before Terraform; it is attached again", "err", err)
		if !pause(ctx, r.rec.Patience.Retry) {
			return nil, left
		}
	}
	heard.end()
	// The supervisor still has the state to push.
	for r.dir.locked(supervisorLock) {
		if !pause(leave, 10*time.Millisecond) {
			return nil, left
		}
	}
	push := &pusher{dir: r.dir, rec: r.rec, client: r.w.Control, log: r.log}
	if err := push.finish(leave); provision.KindOf(err) == provision.NotFound {
		return nil, r.orphaned(err)
	} else if err != nil {
		r.log.Warn("state not pushed yet", "err", err)
		return nil, left
	}
	outcome, err := r.conclude(tf, heard)
	if err != nil {
		r.log.Error("outcome not read; the next start tries again", "err", err)
		return nil, left
	}
	return outcome, ended
}

// mayBegin asks again whether a run that was found may apply, if Terraform has
// not begun: while nobody was here an operator may have given it to another. A
// Terraform that has begun is followed to its end in any case.
func (r *run) mayBegin(leave context.Context) (*provision.RunOutcome, ending) {
	if r.dir.has(processFile) {
		return nil, ended
	}
	lease, err := call(leave, r, "renew the lease", r.renewOnce)
	switch {
	case err == nil && lease.Cancel != "":
		return &provision.RunOutcome{Result: provision.ResultCancelled, Message: lease.Cancel}, ended
	case err == nil:
		return nil, ended
	case provision.KindOf(err) == provision.Conflict, provision.KindOf(err) == provision.NotFound:
		r.log.Warn("run dropped before it applied anything: it is no longer this worker's", "err", err)
		return nil, dropped
	}
	return nil, left
}

// learn makes the secrets of a run that an earlier process planned known again.
func (r *run) learn(ctx context.Context, tf *terraform.Run) {
	if _, sealed, err := r.variables(); err != nil {
		r.log.Warn("parameters not opened", "err", err)
	} else {
		tf.Keep(sealed)
	}
	if err := tf.LearnSecrets(ctx); err != nil {
		r.log.Warn("plan not read again", "err", err)
	}
}

// conclude makes the outcome of what Terraform has left.
func (r *run) conclude(tf *terraform.Run, heard *narrator) (*provision.RunOutcome, error) {
	var how exit
	if ok, err := r.dir.read(exitFile, &how); err != nil || !ok {
		return nil, fmt.Errorf("read how Terraform ended: %w", err)
	}
	var asked stop
	stopped, err := r.dir.read(stopFile, &asked)
	if err != nil {
		return nil, err
	}
	state, _, hasState := terraform.ReadState(r.dir.work())
	if how.Code == 0 {
		r.keep(r.reporter.phase("apply", "completed", ""))
		outcome := &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true}
		if hasState {
			outcome.Outputs = tf.Outputs(state)
		}
		return outcome, nil
	}
	outcome := &provision.RunOutcome{Result: provision.ResultFailed, Applied: true}
	failure := terraform.Failure{Phase: "apply", Diagnostics: heard.errors}
	outcome.Message, outcome.Detail = failure.Summary(), failure.Detail()
	entries, err := readJournal(r.dir)
	if err != nil {
		return nil, err
	}
	open, unkept := inFlight(entries), unrecorded(entries, state.Addresses)
	if hasState && len(open)+len(unkept) == 0 {
		resources := len(state.Addresses)
		outcome.Resources = &resources
	}
	switch {
	case stopped && !asked.Timeout:
		outcome.Result, outcome.Message = provision.ResultCancelled, asked.Reason
	case stopped:
		outcome.Message = asked.Reason
	case how.Code == exitNotStarted && len(entries) == 0:
		outcome.Message = "Terraform could not be started"
	case how.Code < 0 && len(open) > 0:
		outcome.Message = fmt.Sprintf("Terraform was killed while it changed %s; look at what became of it before asking again", strings.Join(open, ", "))
	case how.Code < 0 && len(unkept) > 0:
		outcome.Message = fmt.Sprintf("Terraform was killed before it had written down that it made %s; look for it before asking again", strings.Join(unkept, ", "))
	case how.Code < 0:
		outcome.Message = "Terraform was killed; what it had made until then is in the state"
	}
	if len(open) > 0 {
		outcome.Detail = strings.TrimSpace(outcome.Detail + "\n\nBegun and not completed: " + strings.Join(open, ", "))
	}
	if len(unkept) > 0 {
		outcome.Detail = strings.TrimSpace(outcome.Detail + "\n\nMade and not in the state: " + strings.Join(unkept, ", "))
	}
	if complaints := r.complaints(); complaints != "" && len(heard.errors) == 0 {
		outcome.Detail = strings.TrimSpace(outcome.Detail + "\n\n" + complaints)
	}
	outcome.Message, outcome.Detail = r.redactor.Text(outcome.Message), clip(r.redactor.Text(outcome.Detail), longestLogLine)
	r.keep(r.reporter.phase("apply", "failed", outcome.Message))
	r.reporter.say(0, "Ended: "+outcome.Message)
	return outcome, nil
}

// complaints are the end of what Terraform wrote to stderr.
func (r *run) complaints() string {
	raw, err := os.ReadFile(r.dir.path(stderrFile))
	if err != nil {
		return ""
	}
	text := r.redactor.Text(string(raw)) // before it is cut: half a secret is not found
	return strings.TrimSpace(strings.ToValidUTF8(text[max(0, len(text)-longestLogLine):], ""))
}

// narrator turns Terraform's words into reports and log lines.
type narrator struct {
	run      *run
	line     int64
	replaced map[string]bool // addresses that are deleted and made again
	erred    map[string]bool // failed, its reason not yet heard
	errors   []terraform.Diagnostic
	stateAt  time.Time
}

func newNarrator(r *run) *narrator {
	n := &narrator{run: r, replaced: map[string]bool{}, erred: map[string]bool{}}
	for _, change := range r.rec.Changes {
		n.replaced[change.Address] = change.Action == "replace"
	}
	return n
}

func (n *narrator) hear(line []byte) {
	n.line++
	n.learn()
	event := terraform.ParseEvent(line)
	if !event.Repeated() {
		n.run.reporter.say(n.line, event.Lines()...)
	}
	switch event.Kind {
	case "apply_start":
		n.run.keep(n.run.reporter.resource(event, "started", doing(event.Action)))
	case "apply_complete":
		if n.replaced[event.Address] && event.Action == "delete" {
			return // only half of it
		}
		n.run.keep(n.run.reporter.resource(event, "completed", fmt.Sprintf("%s, %.0f s", done(event.Action), event.Elapsed)))
	case "apply_errored":
		n.erred[event.Address] = true
	case "diagnostic":
		if !event.Failed() {
			return
		}
		complaint := *event.Diagnostic
		complaint.Summary, complaint.Detail = n.run.redactor.Text(complaint.Summary), n.run.redactor.Text(complaint.Detail)
		n.errors = append(n.errors, complaint)
		if event.Address != "" {
			delete(n.erred, event.Address)
			n.run.keep(n.run.reporter.address(event.Address, "failed", complaint.Text()))
		}
	}
}

// end tells of failures that no diagnostic explained.
func (n *narrator) end() {
	for address := range n.erred {
		n.run.keep(n.run.reporter.address(address, "failed", ""))
	}
}

// learn adds the secrets that Terraform has written to its state by now.
func (n *narrator) learn() {
	info, err := os.Stat(n.run.dir.path("work/" + terraform.StateFile))
	if err != nil || info.ModTime().Equal(n.stateAt) {
		return
	}
	if state, _, ok := terraform.ReadState(n.run.dir.work()); ok {
		state.Hide(n.run.redactor)
		n.stateAt = info.ModTime()
	}
}

func doing(action string) string {
	switch action {
	case "create":
		return "creating"
	case "update":
		return "changing"
	case "delete":
		return "destroying"
	}
	return action
}

func done(action string) string {
	switch action {
	case "create":
		return "created"
	case "update":
		return "changed"
	case "delete":
		return "destroyed"
	}
	return action
}
