package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// stepMarks stand beside words, never alone.
var stepMarks = map[provision.StepStatus]string{
	provision.StepPending: "○", provision.StepInProgress: "◐", provision.StepCompleted: "✓", provision.StepFailed: "✕",
}

// heading is a request in one line.
func heading(r api.Request) string {
	text := fmt.Sprintf("%s %s · %s · %s", r.Action, r.Name, r.OfferingName, r.Environment)
	if r.MonthlyCost != nil {
		text += fmt.Sprintf(" · %s / month", *r.MonthlyCost)
	}
	return fmt.Sprintf("%s\n%s", text, r.Id)
}

// stepLines are steps with marks and times in columns; running marks the one
// under way.
func stepLines(steps []api.Step, now time.Time, running string) []string {
	widest := 0
	for _, s := range steps {
		widest = max(widest, utf8.RuneCountInString(s.Name))
	}
	lines := make([]string, len(steps))
	for i, s := range steps {
		mark := stepMarks[s.Status]
		if s.Status == provision.StepInProgress {
			mark = running
		}
		details, _, _ := strings.Cut(s.Details, "\n")
		if s.Stalled != nil {
			details = stalledText(*s.Stalled)
		}
		lines[i] = strings.TrimRight(fmt.Sprintf("  %s %*d %-*s  %8s  %s", mark, len(fmt.Sprint(len(steps))), s.Step, widest, s.Name, stepTime(s, now), details), " ")
	}
	return lines
}

// stepTime is how long a step took, or has taken so far; "" before it began.
func stepTime(s api.Step, now time.Time) string {
	switch {
	case s.DurationSeconds != nil: // by the sidecar's clock
		return span(time.Duration(*s.DurationSeconds * float64(time.Second)))
	case s.StartedAt == nil:
		return ""
	case s.FinishedAt != nil:
		now = *s.FinishedAt
	}
	return span(now.Sub(*s.StartedAt))
}

// printOutcome is the last word of a watch.
func printOutcome(out io.Writer, r api.Request) {
	switch r.State {
	case provision.Succeeded:
		printEnd(out, r)
		fmt.Fprintf(out, "\n✓ Succeeded in %s: %s\n", span(r.UpdatedAt.Sub(r.CreatedAt)), r.EntityRef)
		if r.Action == provision.Create && hasCredentials(r.Outputs) {
			fmt.Fprintf(out, "Open its credentials with: roadbed credentials %s\n", strings.TrimPrefix(r.EntityRef, "resource:"))
		}
	case provision.DeniedState:
		printEnd(out, r)
		fmt.Fprintln(out, "\n✕ Denied")
		printFindings(out, r.Findings)
	case provision.Failed, provision.Cancelled:
		printEnd(out, r)
		fmt.Fprintf(out, "\n✕ %s after %s\nIts log: roadbed request logs %s\n", title(string(r.State)), span(r.UpdatedAt.Sub(r.CreatedAt)), r.Id)
	case provision.AwaitingApproval:
		fmt.Fprintf(out, "\n◌ Waits for %s\n", cmp.Or(r.Waiting, "approval"))
	default:
		fmt.Fprintf(out, "\nThe request goes on. Follow it again with: roadbed request watch %s\n", r.Id)
	}
}

// hasCredentials reports whether outputs speak of credentials.
func hasCredentials(outputs map[string]any) bool {
	for name := range outputs {
		if strings.Contains(name, "credential") {
			return true
		}
	}
	return false
}

// span is a duration for people: 4.2 s, 38 s, 3 min, 2 h, 5 d.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0.0 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}

func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// ago is how long something lies back.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	default:
		return span(d) + " ago"
	}
}

func printLogLine(out io.Writer, line provision.LogEntry) error {
	if _, err := fmt.Fprintf(out, "%s %s\n", line.At.UTC().Format(time.RFC3339), line.Text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printRequest shows a request as it stands at now.
func printRequest(out io.Writer, r api.Request, now time.Time) {
	field := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-8s  %s\n", name, fmt.Sprintf(format, args...))
	}
	field("Request", "%s", r.Id)
	field("Ask", "%s %s · %s %s · %s", r.Action, r.Name, r.OfferingName, r.OfferingVersion, r.Environment)
	field("State", "%s", stateText(r))
	if r.Expected != nil {
		field("Expected", "%s", expectedText(*r.Expected))
	}
	if r.MonthlyCost != nil {
		field("Price", "%s / month", *r.MonthlyCost)
	}
	field("Owner", "%s, cost center %s", r.Owner, r.CostCenter)
	field("Asked", "by %s %s", r.RequestedBy, ago(now.Sub(r.CreatedAt)))
	field("Entity", "%s", r.EntityRef)
	if len(r.Findings) > 0 {
		fmt.Fprintln(out, "\nPolicy")
		printFindings(out, r.Findings)
	}
	printApproval(out, r)
	if slices.ContainsFunc(r.Steps, func(s api.Step) bool { return s.Status != provision.StepPending }) {
		fmt.Fprintln(out, "\nSteps")
		for _, line := range stepLines(r.Steps, now, stepMarks[provision.StepInProgress]) {
			fmt.Fprintln(out, line)
		}
	}
	printEnd(out, r)
}

// printEnd is why a request did not succeed, or what it has made.
func printEnd(out io.Writer, r api.Request) {
	deniedByFindings := r.State == provision.DeniedState && len(r.Findings) > 0 // they say it already
	if r.Error != nil && !deniedByFindings {
		fmt.Fprintf(out, "\n%s\n", r.Error.Message)
		for _, more := range []string{r.Error.Detail, r.Error.WayOut} {
			if more != "" && more != r.Error.Message {
				fmt.Fprintf(out, "%s\n", indent(more))
			}
		}
	}
	printValues(out, "Outputs", r.Outputs)
}

func indent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight("  "+line, " ")
	}
	return strings.Join(lines, "\n")
}

func stateText(r api.Request) string {
	text := strings.ReplaceAll(string(r.State), "_", " ")
	switch {
	case r.Waiting != "":
		text += ": " + r.Waiting
	case r.CancelReason != "" && !r.State.Terminal():
		text += ", being cancelled: " + r.CancelReason
	}
	return text
}

// requestListing is the table of requests as it is at now.
func requestListing(now time.Time) listing[api.Request] {
	return listing[api.Request]{
		none:  "There are no requests here. Ask for something with: roadbed request create --help",
		heads: "REQUEST\tSTATE\tACTION\tNAME\tOFFERING\tENVIRONMENT\tOWNER\tMONTHLY\tASKED",
		row: func(r api.Request) []any {
			return []any{r.Id, r.State, r.Action, r.Name, r.Offering, r.Environment, shortOwner(r.Owner), priceText(r.MonthlyCost), ago(now.Sub(r.CreatedAt))}
		},
	}
}
