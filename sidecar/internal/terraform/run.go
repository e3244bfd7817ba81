package terraform

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The files of a run inside its working directory.
const (
	StateFile     = "terraform.tfstate"
	ErroredState  = "errored.tfstate" // where Terraform leaves a state that it could not write
	PlanFile      = "roadbed.tfplan"
	VariablesFile = "terraform.tfvars.json"
)

// Run is one run's directory. Its methods are called one after another.
type Run struct {
	Work     string // the working directory, with the module's files
	redactor *Redactor
	secret   Redactor        // what the worker and the requester keep secret: it must not be in a plan at all
	open     map[string]bool // what the requester has said openly
	planner  *tfexec.Terraform
	applier  *tfexec.Terraform
	env      map[string]string
}

// Failure is Terraform's refusal: an init, plan or apply that ended badly. The
// texts are redacted.
type Failure struct {
	Phase       string // init, plan, apply
	Diagnostics []Diagnostic
	cause       error
}

// Error is the first complaint.
func (f *Failure) Error() string {
	if len(f.Diagnostics) == 0 {
		return fmt.Sprintf("terraform %s: %v", f.Phase, f.cause)
	}
	return fmt.Sprintf("terraform %s: %s", f.Phase, f.Diagnostics[0].Summary)
}

// Unwrap is how the process ended.
func (f *Failure) Unwrap() error { return f.cause }

// Summary is the cause in one line for people.
func (f *Failure) Summary() string {
	if len(f.Diagnostics) == 0 {
		return "Terraform stopped during " + f.Phase + " without saying why"
	}
	if refused := f.refused(); refused != "" {
		return refused
	}
	return f.Diagnostics[0].Summary
}

// Detail is every complaint in full, and first what permission is missing.
func (f *Failure) Detail() string {
	var texts []string
	if refused := f.refused(); refused != "" {
		texts = append(texts, refused)
	}
	for _, d := range f.Diagnostics {
		texts = append(texts, d.Text())
	}
	return strings.Join(texts, "\n\n")
}

// notAuthorized is how AWS names a permission that is missing.
var notAuthorized = regexp.MustCompile(`is not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9]+)`)

// refused says which permission a complaint misses; "" when none does.
func (f *Failure) refused() string {
	for _, d := range f.Diagnostics {
		if found := notAuthorized.FindStringSubmatch(d.Summary + "\n" + d.Detail); found != nil {
			return fmt.Sprintf("The worker may not %s. The platform team can give its role that permission: docs/aws.md has all that it needs.", found[1])
		}
	}
	return ""
}

// Open is the run whose home directory is home; its working directory is
// home/work, and it need not be filled yet. applier is what is executed to
// apply: the binary itself, or a link to a program that supervises it.
func (s Settings) Open(home, applier string, redactor *Redactor) (*Run, error) {
	work := filepath.Join(home, "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, fmt.Errorf("make the working directory: %w", err)
	}
	env, err := s.environment(home, s.Variables)
	if err != nil {
		return nil, err
	}
	redactor.Add(s.secrets())
	run := &Run{Work: work, redactor: redactor, open: map[string]bool{}, env: env}
	run.secret.Add(s.secrets())
	if run.planner, err = run.execute(s.Binary.Path); err != nil {
		return nil, err
	}
	run.applier, err = run.execute(applier)
	return run, err
}

func (r *Run) execute(path string) (*tfexec.Terraform, error) {
	tf, err := tfexec.NewTerraform(r.Work, path)
	if err != nil {
		return nil, fmt.Errorf("use %s: %w", path, err)
	}
	if err := tf.SetEnv(maps.Clone(r.env)); err != nil {
		return nil, fmt.Errorf("set Terraform's environment: %w", err)
	}
	// Each provider process would make two key pairs to talk to Terraform over
	// a socket that only this user can open: half of a small run's time.
	if err := tf.SetDisablePluginTLS(true); err != nil {
		return nil, fmt.Errorf("turn plugin TLS off: %w", err)
	}
	// The applier is stopped by its supervisor, which has its own patience.
	if err := tf.SetWaitDelay(time.Minute); err != nil {
		return nil, fmt.Errorf("set Terraform's patience: %w", err)
	}
	return tf, nil
}

// Warm asks the binary for its version, which terraform-exec needs once before
// a plan and keeps: call it beside other waiting.
func (r *Run) Warm(ctx context.Context) { _, _, _ = r.planner.Version(ctx, false) }

// WarmApply is Warm for Apply.
func (r *Run) WarmApply(ctx context.Context) { _, _, _ = r.applier.Version(ctx, false) }

// Plan makes a saved plan and returns its changes without secrets; the secrets
// it finds are added to the run's redactor. events gets each of Terraform's
// lines as it is said, not yet redacted; nil drops them. It is Failure when
// Terraform refuses, and stops gracefully when ctx ends.
func (r *Run) Plan(ctx context.Context, events func(Event)) ([]provision.Change, error) {
	return r.plan(ctx, events, tfexec.Out(PlanFile))
}

// PlanDestroy is like Plan, for destroying everything.
func (r *Run) PlanDestroy(ctx context.Context, events func(Event)) ([]provision.Change, error) {
	return r.plan(ctx, events, tfexec.Out(PlanFile), tfexec.Destroy(true))
}

func (r *Run) plan(ctx context.Context, events func(Event), options ...tfexec.PlanOption) ([]provision.Change, error) {
	failure := &Failure{Phase: "plan"}
	_, err := r.planner.PlanJSON(ctx, lineFunc(func(line []byte) {
		event := ParseEvent(line)
		if event.Failed() {
			failure.Diagnostics = append(failure.Diagnostics, r.redact(*event.Diagnostic))
		}
		if events != nil {
			events(event)
		}
	}), options...)
	// terraform-exec would go on copying what later commands print.
	r.planner.SetStdout(io.Discard)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("plan: %w", context.Cause(ctx))
		}
		failure.cause = r.said(err)
		return nil, failure
	}
	return r.SavedPlan(ctx)
}

// SavedPlan is what Plan answered when it made the plan file that lies in the
// working directory. It is an error when this Terraform cannot read it.
func (r *Run) SavedPlan(ctx context.Context) ([]provision.Change, error) {
	plan, err := r.planner.ShowPlanFile(ctx, PlanFile, tfexec.JSONNumber(true))
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read the plan: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("read the plan: %w", r.said(err))
	}
	return r.changes(plan)
}

// changes are the plan's, safe to be shown and judged. Secrets are masked also
// where Terraform has lost the mark, as in attributes that repeat others; but a
// plan that newly puts a secret of the requester or the worker anywhere in clear
// is refused, because to mask it would let a requester hide any value from the
// rules by making it their secret.
func (r *Run) changes(plan *tfjson.Plan) ([]provision.Change, error) {
	sensitive := sensitiveValues(plan)
	r.redactor.Add(sensitive)
	var unmarked, nothing Redactor
	for _, change := range changesOf(plan, &nothing) {
		if r.exposes(change.Before, change.After) {
			return nil, &Failure{Phase: "plan", Diagnostics: []Diagnostic{{
				Severity: "error", Address: change.Address, Summary: "The plan shows a sensitive value in clear",
				Detail: "The module must keep what comes from a sensitive parameter sensitive. If it does, another parameter has the same text as the secret: choose another secret.",
			}}}
		}
	}
	unmarked.Add(without(sensitive, r.open))
	unmarked.inherit(&r.secret)
	changes, sources := changesOf(plan, &unmarked), sourcesOf(plan, newTracer(r.Work))
	for i := range changes {
		changes[i].Sources = sources[changes[i].Address]
	}
	return changes, nil
}

// exposes reports whether after has a secret in clear where before has none.
func (r *Run) exposes(before, after any) bool {
	switch v := after.(type) {
	case map[string]any:
		old, _ := before.(map[string]any)
		for name, member := range v {
			if r.secret.Finds(name) || r.exposes(old[name], member) {
				return true
			}
		}
		return false
	case []any:
		old, _ := before.([]any)
		for i, member := range v {
			var was any
			if i < len(old) {
				was = old[i]
			}
			if r.exposes(was, member) {
				return true
			}
		}
		return false
	}
	return r.secret.Finds(after) && !r.secret.Finds(before)
}

// without is secrets but for the texts that are open.
func without(secrets []any, open map[string]bool) []any {
	var kept []any
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			if !open[v] {
				kept = append(kept, v)
			}
		case map[string]any:
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, member := range v {
				walk(member)
			}
		default:
			kept = append(kept, v)
		}
	}
	walk(secrets)
	return kept
}

// Outputs are the state's outputs for people: the non-sensitive ones, and in
// them no secret of the requester or the worker.
func (r *Run) Outputs(s State) map[string]any {
	shown, _ := r.secret.Value(s.Outputs).(map[string]any)
	return shown
}

// LearnSecrets adds the sensitive values of the saved plan to the run's
// redactor, as Plan did: for a process that takes over an apply. Give it what
// was sealed with Keep first.
func (r *Run) LearnSecrets(ctx context.Context) error {
	plan, err := r.planner.ShowPlanFile(ctx, PlanFile, tfexec.JSONNumber(true))
	if err != nil {
		return fmt.Errorf("read the plan: %w", r.said(err))
	}
	r.redactor.Add(sensitiveValues(plan))
	return nil
}

// Keep makes values secrets of the run, as WriteVariables does.
func (r *Run) Keep(sealed map[string]any) {
	for _, value := range sealed {
		r.redactor.Add(value)
		r.secret.Add(value)
	}
}

// Apply executes the saved plan. lines gets each of Terraform's lines as it
// is said, not yet redacted. The error says only how the process ended.
func (r *Run) Apply(ctx context.Context, lines func(line []byte)) error {
	err := r.applier.ApplyJSON(ctx, lineFunc(lines), tfexec.DirOrPlan(PlanFile))
	r.applier.SetStdout(io.Discard)
	if err != nil {
		return fmt.Errorf("apply: %w", r.said(err))
	}
	return nil
}

func (r *Run) redact(d Diagnostic) Diagnostic {
	d.Summary, d.Detail = r.redactor.Text(d.Summary), r.redactor.Text(d.Detail)
	return d
}

// said is err with its text redacted: terraform-exec puts all of stderr into it.
func (r *Run) said(err error) error {
	return &processError{text: r.redactor.Text(strings.TrimSpace(err.Error())), cause: err}
}

type processError struct {
	text  string
	cause error
}

// Error is the redacted text.
func (e *processError) Error() string { return e.text }

// Unwrap is the original, whose text must not be shown.
func (e *processError) Unwrap() error { return e.cause }

// lineFunc is a writer that gets one whole line a call, as terraform-exec writes.
type lineFunc func(line []byte)

// Write hands the line on.
func (f lineFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
