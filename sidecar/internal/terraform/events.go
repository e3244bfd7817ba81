package terraform

import (
	"encoding/json"
	"strings"
)

// Event is one line of Terraform's machine-readable output.
type Event struct {
	Kind       string // Terraform's type: apply_start, diagnostic, change_summary, …
	Level      string
	Message    string // Terraform's own line for people
	Address    string // of the resource it is about, else empty
	Action     string // create, update, delete, read
	IDKey      string // on apply_complete: which attribute identifies the thing
	IDValue    string
	Elapsed    float64     // seconds
	Operation  string      // on change_summary: plan, apply, destroy
	Diagnostic *Diagnostic // on diagnostic
}

// Diagnostic is what Terraform or a provider has to complain of.
type Diagnostic struct {
	Severity string `json:"severity"` // error, warning
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"`
}

// Text is the diagnostic for people, over several lines.
func (d Diagnostic) Text() string {
	text := d.Summary
	if detail := strings.TrimSpace(d.Detail); detail != "" {
		text += "\n" + detail
	}
	if d.Address != "" {
		text += "\nin " + d.Address
	}
	return text
}

// ParseEvent reads one line. Whatever is no event is one of kind "text": the
// line is its message, so that nothing a process says is lost.
func ParseEvent(line []byte) Event {
	var raw struct {
		Kind    string `json:"type"`
		Level   string `json:"@level"`
		Message string `json:"@message"`
		Hook    *struct {
			Resource struct {
				Address string `json:"addr"`
			} `json:"resource"`
			Action  string  `json:"action"`
			IDKey   string  `json:"id_key"`
			IDValue string  `json:"id_value"`
			Elapsed float64 `json:"elapsed_seconds"`
		} `json:"hook"`
		Change *struct {
			Resource struct {
				Address string `json:"addr"`
			} `json:"resource"`
			Action string `json:"action"`
		} `json:"change"`
		Changes *struct {
			Operation string `json:"operation"`
		} `json:"changes"`
		Diagnostic *Diagnostic `json:"diagnostic"`
	}
	if err := json.Unmarshal(line, &raw); err != nil || raw.Kind == "" {
		return Event{Kind: "text", Message: strings.TrimRight(string(line), "\r\n")}
	}
	event := Event{Kind: raw.Kind, Level: raw.Level, Message: raw.Message, Diagnostic: raw.Diagnostic}
	if raw.Hook != nil {
		event.Address, event.Action = raw.Hook.Resource.Address, raw.Hook.Action
		event.IDKey, event.IDValue, event.Elapsed = raw.Hook.IDKey, raw.Hook.IDValue, raw.Hook.Elapsed
	}
	if raw.Change != nil {
		event.Address, event.Action = raw.Change.Resource.Address, raw.Change.Action
	}
	if raw.Changes != nil {
		event.Operation = raw.Changes.Operation
	}
	if raw.Diagnostic != nil {
		event.Address = raw.Diagnostic.Address
	}
	return event
}

// Failed reports whether the event says that something went wrong.
func (e Event) Failed() bool {
	return e.Kind == "diagnostic" && e.Diagnostic != nil && e.Diagnostic.Severity == "error"
}

// Repeated reports whether apply says it only because the plan did.
func (e Event) Repeated() bool {
	return e.Kind == "planned_change" || e.Kind == "resource_drift" || e.Kind == "change_summary" && e.Operation == "plan"
}

// Lines are the event for a log that people read; none for what is only for
// machines. They are not redacted yet.
func (e Event) Lines() []string {
	text := e.Message
	switch e.Kind {
	case "version", "outputs":
		return nil
	case "diagnostic":
		if e.Diagnostic != nil {
			text = "Warning: " + e.Diagnostic.Text()
			if e.Failed() {
				text = "Error: " + e.Diagnostic.Text()
			}
		}
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimRight(line, "\r "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
