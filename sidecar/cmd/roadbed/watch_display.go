package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

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
	if screen, is := out.(visible); is {
		out = screen.out // what is painted on it moves the cursor, and is made visible there
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

func (d *liveDisplay) begin(w *watched) { fmt.Fprintln(visible{d.out}, heading(w.request)) }

func (d *liveDisplay) event(w *watched, _ api.Event, _ string) { d.paint(w, time.Now()) }

func (d *liveDisplay) note(string) {} // the next frame has it

func (d *liveDisplay) interrupted(w *watched, _ error) { w.silent = true }

func (d *liveDisplay) tick(w *watched, now time.Time) {
	d.turn++
	d.paint(w, now)
}

func (d *liveDisplay) end(w *watched) {
	d.paint(w, time.Now())
	printOutcome(visible{d.out}, w.request)
}

// paint is one write, so that nothing flickers.
func (d *liveDisplay) paint(w *watched, now time.Time) {
	var text strings.Builder
	if d.painted > 0 {
		fmt.Fprintf(&text, "\x1b[%dA\x1b[J", d.painted)
	}
	lines := frameOf(w, now, d.turn, d.width())
	for _, line := range lines {
		text.WriteString(strings.ReplaceAll(line, "\n", " ") + "\n")
	}
	d.painted = len(lines)
	_, _ = io.WriteString(d.out, text.String()) // as display says
}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

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

// shortened are lines with fewer than width characters each.
func shortened(lines []string, width int) []string {
	short := make([]string, len(lines))
	for i, line := range lines {
		short[i] = printable(line)
		if runes := []rune(short[i]); len(runes) >= width {
			short[i] = string(runes[:width-2]) + "…"
		}
	}
	return short
}
