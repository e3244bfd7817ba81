package provision

import (
	"fmt"
	"slices"
	"strings"
)

// phases that every offering's "plan" step covers.
var planPhases = []string{"init", "plan"}

func newSteps(defined []StepDefinition) []Step {
	steps := make([]Step, len(defined))
	for i, d := range defined {
		steps[i] = Step{Step: i + 1, Name: d.Name, Status: StepPending, Phase: d.Phase, Addresses: d.Addresses}
	}
	return steps
}

// advance sets the step that stands for a phase.
func (r *Record) advance(phase string, status StepStatus, details string) {
	i := slices.IndexFunc(r.Request.Steps, func(s Step) bool { return s.Phase == phase })
	if i >= 0 {
		r.setStep(i, status, details)
	}
}

func (r *Record) takePhase(report Report) {
	if slices.Contains(planPhases, report.Phase) && report.Status == "failed" {
		r.advance("plan", StepFailed, report.Details)
	}
}

// plannedSteps gives each step the resources that the plan changes. An offering
// names those of every implementation, and an update changes few of them.
func (r *Record) plannedSteps(changes []Change) {
	for i := range r.Request.Steps {
		step := &r.Request.Steps[i]
		step.Planned = nil
		for _, c := range changes {
			if c.Action != "no-op" && c.Action != "read" && step.has(c.Address) {
				step.Planned = append(step.Planned, c.Address)
			}
		}
	}
}

// has reports whether a resource belongs to the step.
func (s Step) has(address string) bool {
	return slices.ContainsFunc(s.Addresses, func(named string) bool { return addressBelongs(address, named) })
}

// expects are the addresses that the step is complete with.
func (s Step) expects() []string {
	if len(s.Planned) > 0 {
		return s.Planned
	}
	return s.Addresses
}

// takeAddress folds one resource's progress into its step. A step begins with
// the first of its resources and is complete when each has completed.
func (r *Record) takeAddress(report Report) {
	i := slices.IndexFunc(r.Request.Steps, func(s Step) bool { return s.has(report.Address) })
	if i < 0 {
		return
	}
	step := &r.Request.Steps[i]
	switch report.Status {
	case "failed":
		r.setStep(i, StepFailed, report.Details)
	case "completed":
		if !slices.Contains(step.Done, report.Address) {
			step.Done = append(step.Done, report.Address)
		}
		complete := !slices.ContainsFunc(step.expects(), func(a string) bool {
			return !slices.ContainsFunc(step.Done, func(d string) bool { return addressBelongs(d, a) })
		})
		if complete {
			r.setStep(i, StepCompleted, "")
			return
		}
		r.setStep(i, StepInProgress, fmt.Sprintf("%d of %d resources", len(step.Done), len(step.expects())))
	default:
		if step.Status != StepInProgress { // else "2 of 3 resources" says more than that the third began
			r.setStep(i, StepInProgress, report.Details)
		}
	}
}

// addressBelongs reports whether a resource's address is the one a step names,
// or an indexed or nested form of it.
func addressBelongs(address, named string) bool {
	return address == named || strings.HasPrefix(address, named+"[") || strings.HasPrefix(address, named+".")
}

// setStep changes a step and tells it, unless it already stands there. A step
// that is complete or failed never goes back to in progress.
func (r *Record) setStep(i int, status StepStatus, details string) {
	step := &r.Request.Steps[i]
	settled := step.Status == StepCompleted || step.Status == StepFailed
	if step.Status == status && step.Details == details || settled && status == StepInProgress {
		return
	}
	if settled && status == StepFailed && step.Status == StepFailed {
		return
	}
	changed := step.Status != status
	step.Status, step.Details = status, details
	now := r.now
	if status == StepPending {
		step.StartedAt, step.FinishedAt, step.StalledAt, step.Done = nil, nil, nil, nil
	} else if step.StartedAt == nil {
		step.StartedAt = &now
	}
	if status == StepCompleted || status == StepFailed {
		step.FinishedAt = &now
	}
	r.Request.UpdatedAt = r.now
	verbs := map[StepStatus]string{StepPending: "reset", StepInProgress: "started", StepCompleted: "completed", StepFailed: "failed"}
	verb := verbs[status]
	if !changed {
		verb = "progressed"
	}
	r.tell("step", verb, r.Request.ID, map[string]any{
		"step": step.Step, "name": step.Name, "status": status, "details": details,
	})
}

func reasons(findings []Finding) string {
	var lines []string
	for _, f := range findings {
		if f.Level != LevelDeny && f.Level != LevelRequireApproval {
			continue
		}
		line := f.Message
		if f.WayOut != "" {
			line += " " + f.WayOut
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// changeSteps are what a person sees of a change: an offering's own steps speak
// of making, and what changes is Terraform's to find, so it is one step.
func changeSteps(o Offering) []StepDefinition { return stepsOf(Update, o) }

// stepsOf are changeSteps in the words of an action.
func stepsOf(action Action, o Offering) []StepDefinition {
	plan, apply := "Plan change", "Change resources"
	switch action {
	case Create:
		return o.Steps
	case Import:
		plan, apply = "Plan import", "Take over resources"
	case Rotate:
		plan, apply = "Plan rotation", "Make credentials anew"
	case HandOver:
		plan, apply = "Plan handing over", "Change owner and credentials"
	}
	return []StepDefinition{
		{Name: "Validate request", Phase: "validate"},
		{Name: plan, Phase: "plan"},
		{Name: apply, Addresses: resourceAddresses(o)},
	}
}

func resourceAddresses(o Offering) []string {
	var addresses []string
	for _, step := range o.Steps {
		addresses = append(addresses, step.Addresses...)
	}
	return addresses
}
