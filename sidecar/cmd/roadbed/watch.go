package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/term"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type requestWatchCommand struct {
	serverFlags
	ID   uuid.UUID `arg:"" name:"id" help:"The request's id."`
	JSON bool      `name:"json" help:"Print each event as one line of JSON."`
}

// Help is the longer text of --help.
func (requestWatchCommand) Help() string {
	return `It begins with what has happened already and lasts over restarts of the sidecar.
Interrupting it does not stop the request.

Exits 0 when the request succeeded, 1 when it failed or was cancelled, 3 when it
was denied, 4 when it waits for approval.

  roadbed request watch 0199a3c0-… --as ann
  roadbed request watch 0199a3c0-… --as ann --json | jq -r .type`
}

// Run follows a request to its end.
func (c *requestWatchCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	r, err := conn.Request(ctx, c.ID)
	if err != nil {
		return err
	}
	return conn.watch(ctx, out, r, c.JSON)
}

// exitInterrupted is what a shell expects of an interrupted program.
const exitInterrupted = 130

// watch shows a request's events, from the first, until it has ended or waits
// for people; its error is the exit code of that.
func (c *connection) watch(ctx context.Context, out io.Writer, r api.Request, asJSON bool) error {
	seen := newWatched(r)
	show := displayOn(out, asJSON)
	show.begin(seen)
	following, stop := context.WithCancel(ctx)
	events, done := make(chan api.Event), make(chan error, 1)
	go func() {
		done <- c.Follow(following, r.Id, 0, func(e api.Event) error {
			select {
			case events <- e:
				return nil
			case <-following.Done():
				return following.Err()
			}
		})
	}()
	defer func() { stop(); <-done }()
	looks := c.looks(following, r.Id)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case e := <-events:
			show.event(seen, e, seen.take(e))
			// An approval that was given since is not waited for: only the newest event tells.
			if seen.request.State == provision.AwaitingApproval && e.Sequence >= r.Sequence {
				show.end(seen)
				return exit(exitWaiting)
			}
		case err := <-c.lost:
			show.interrupted(seen, err)
		case look := <-looks:
			for _, line := range seen.look(look) {
				show.note(line)
			}
		case now := <-tick.C:
			show.tick(seen, now)
		case err := <-done:
			done <- nil // for the deferred wait
			if ctx.Err() != nil {
				show.end(seen)
				return exit(exitInterrupted)
			}
			if err != nil {
				return err
			}
			if last, err := c.Request(ctx, r.Id); err == nil {
				seen.request = last // the same, with what no event carries
			}
			show.end(seen)
			return exitOf(seen.request.State)
		}
	}
}

// exitOf is the exit code of a request's end; nil is 0.
func exitOf(s provision.State) error {
	switch s {
	case provision.Succeeded:
		return nil
	case provision.DeniedState:
		return exit(exitDenied)
	default:
		return exit(exitFailed)
	}
}

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

// display shows a watched request. Errors of the output are not told: who left
// does not read them.
type display interface {
	begin(*watched)
	event(w *watched, e api.Event, line string)
	note(line string) // what no event tells
	interrupted(*watched, error)
	tick(w *watched, now time.Time)
	end(*watched)
}

// displayOn is the display that fits what out is.
func displayOn(out io.Writer, asJSON bool) display {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return jsonDisplay{encoder: encoder}
	}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return plainDisplay{out: out}
	}
	return &liveDisplay{out: out, width: func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil || width < 20 {
			return 80
		}
		return width
	}}
}

// jsonDisplay prints events and nothing else.
type jsonDisplay struct{ encoder *json.Encoder }

func (jsonDisplay) begin(*watched)                            {}
func (d jsonDisplay) event(_ *watched, e api.Event, _ string) { _ = d.encoder.Encode(e) }
func (jsonDisplay) note(string)                               {}
func (jsonDisplay) interrupted(*watched, error)               {}
func (jsonDisplay) tick(*watched, time.Time)                  {}
func (jsonDisplay) end(*watched)                              {}

// plainDisplay prints one line for each thing that happens.
type plainDisplay struct{ out io.Writer }

func (d plainDisplay) begin(w *watched) { fmt.Fprintln(d.out, heading(w.request)) }

func (d plainDisplay) event(_ *watched, e api.Event, line string) {
	fmt.Fprintf(d.out, "%s  %s\n", e.At.Local().Format(time.TimeOnly), line)
}

func (d plainDisplay) note(line string) {
	fmt.Fprintf(d.out, "%s  %s\n", time.Now().Format(time.TimeOnly), line)
}

func (d plainDisplay) interrupted(w *watched, _ error) {
	if !w.silent {
		fmt.Fprintf(d.out, "%s  %s\n", time.Now().Format(time.TimeOnly), silence)
	}
	w.silent = true
}

func (plainDisplay) tick(*watched, time.Time) {}

func (d plainDisplay) end(w *watched) { printOutcome(d.out, w.request) }

const silence = "the sidecar cannot be reached; the request goes on, and so does this once it can"

// liveDisplay paints the steps over and over in the same place.
type liveDisplay struct {
	out     io.Writer
	width   func() int
	painted int // lines
	turn    int // of the spinner
}

func (d *liveDisplay) begin(w *watched) { fmt.Fprintln(d.out, heading(w.request)) }

func (d *liveDisplay) event(w *watched, _ api.Event, _ string) { d.paint(w, time.Now()) }

func (d *liveDisplay) note(string) {} // the next frame has it

func (d *liveDisplay) interrupted(w *watched, _ error) { w.silent = true }

func (d *liveDisplay) tick(w *watched, now time.Time) {
	d.turn++
	d.paint(w, now)
}

func (d *liveDisplay) end(w *watched) {
	d.paint(w, time.Now())
	printOutcome(d.out, w.request)
}

// paint is one write, so that nothing flickers.
func (d *liveDisplay) paint(w *watched, now time.Time) {
	var text strings.Builder
	if d.painted > 0 {
		fmt.Fprintf(&text, "\x1b[%dA\x1b[J", d.painted)
	}
	lines := frameOf(w, now, d.turn, d.width())
	for _, line := range lines {
		text.WriteString(line + "\n")
	}
	d.painted = len(lines)
	_, _ = io.WriteString(d.out, text.String()) // as display says
}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// stepMarks stand beside words, never alone.
var stepMarks = map[provision.StepStatus]string{
	provision.StepPending: "○", provision.StepInProgress: "◐", provision.StepCompleted: "✓", provision.StepFailed: "✕",
}

// stateMarks are for states in which nothing moves; the spinner is for others.
var stateMarks = map[provision.State]string{provision.AwaitingApproval: "◌", provision.Lost: "!"}

// frameOf is what a terminal shows of a request at now, in lines shorter than
// width: a line that wraps would not be painted over.
func frameOf(w *watched, now time.Time, turn, width int) []string {
	r, spin := w.request, spinner[turn%len(spinner)]
	lines := stepLines(r.Steps, now, spin)
	if r.State.Terminal() { // printOutcome has the last word
		return shortened(lines, width)
	}
	mark, known := stateMarks[r.State]
	if !known {
		mark = spin
	}
	lines = append(lines, mark+" "+stateText(r)+"   "+span(now.Sub(r.CreatedAt)))
	if r.Expected != nil {
		lines = append(lines, "  "+expectedText(*r.Expected))
	}
	if w.silent {
		lines = append(lines, "! "+silence)
	}
	return shortened(lines, width)
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
		if r.Action == provision.Create {
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

// shortened are lines with fewer than width characters each.
func shortened(lines []string, width int) []string {
	short := make([]string, len(lines))
	for i, line := range lines {
		short[i] = line
		if runes := []rune(line); len(runes) >= width {
			short[i] = string(runes[:width-2]) + "…"
		}
	}
	return short
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
