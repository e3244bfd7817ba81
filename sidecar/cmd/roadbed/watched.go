package main

import (
	"fmt"
	"slices"
	"strings"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// watched is a request as its events so far tell it.
type watched struct {
	request api.Request
	silent  bool // the sidecar cannot be reached
}

// newWatched is the request before its first event.
func newWatched(r api.Request) *watched {
	r.State, r.Waiting, r.CancelReason, r.Error, r.Outputs = provision.Submitted, "", "", nil, nil
	r.Steps = slices.Clone(r.Steps)
	for i, s := range r.Steps {
		r.Steps[i] = api.Step{Step: s.Step, Name: s.Name, Status: provision.StepPending}
	}
	return &watched{request: r}
}

// take folds an event into the request and says in one line what happened.
func (w *watched) take(e api.Event) string {
	w.silent = false
	parts := strings.Split(e.Type, ".") // dev.roadbed.request.queued.v1
	if len(parts) != 5 {
		return e.Type
	}
	switch entity, verb := parts[2], parts[3]; {
	case entity == "request":
		return w.takeRequest(verb, e)
	case entity == "step":
		return w.takeStep(e)
	case entity == "approval" && verb == "given":
		w.request.Waiting = word(e, "waiting")
		return withReason("approved by "+word(e, "by"), word(e, "reason"))
	case entity == "approval" && verb == "rejected":
		return withReason("rejected by "+word(e, "by"), word(e, "reason"))
	case entity == "run" && verb == "started":
		return "worker " + word(e, "worker") + " has it"
	default:
		return withReason(entity+" "+strings.ReplaceAll(verb, "_", " "), word(e, "reason"))
	}
}

func (w *watched) takeRequest(verb string, e api.Event) string {
	r := &w.request
	if verb == "cancel_requested" {
		r.CancelReason = word(e, "reason")
		return withReason("being cancelled", r.CancelReason)
	}
	state := provision.State(verb)
	if !slices.Contains(provision.States(), state) {
		return withReason("request "+verb, word(e, "reason"))
	}
	r.State, r.Waiting = state, word(e, "waiting")
	if outputs, ok := e.Data["outputs"].(map[string]any); ok {
		r.Outputs = outputs
	}
	if failure, ok := e.Data["error"].(map[string]any); ok {
		message, _ := failure["message"].(string)
		r.Error = &api.Failure{Message: message}
	}
	return withReason(strings.ReplaceAll(verb, "_", " "), r.Waiting)
}

func (w *watched) takeStep(e api.Event) string {
	i := slices.IndexFunc(w.request.Steps, func(s api.Step) bool { return fmt.Sprint(s.Step) == word(e, "step") })
	if i < 0 {
		return "step " + word(e, "step")
	}
	step := &w.request.Steps[i]
	step.Status, step.Details = provision.StepStatus(word(e, "status")), word(e, "details")
	text := fmt.Sprintf("step %d of %d, %s: ", step.Step, len(w.request.Steps), step.Name)
	at := e.At
	if step.Status == provision.StepPending {
		step.StartedAt, step.FinishedAt = nil, nil
		return text + "waits again"
	}
	if step.StartedAt == nil {
		step.StartedAt = &at
	}
	if step.Status == provision.StepInProgress {
		return withReason(text+"in progress", step.Details)
	}
	step.FinishedAt = &at
	return withReason(text+string(step.Status)+" after "+stepTime(*step, at), step.Details)
}

// word is a value of an event as text, "" when it is not there.
func word(e api.Event, name string) string {
	if value, ok := e.Data[name]; ok && value != nil {
		return fmt.Sprint(value)
	}
	return ""
}

func withReason(text, reason string) string {
	reason, _, _ = strings.Cut(reason, "\n")
	if reason == "" {
		return text
	}
	return text + ": " + reason
}
