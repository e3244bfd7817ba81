package main

import (
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestWhatOthersWroteDoesNothingToATerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\tb\nä ✓ \\x1b":        "a\tb\nä ✓ \\x1b",
		"\x1b]0;owned\a\x1b[2J":  `\x1b]0;owned\a\x1b[2J`,
		"50%\r100%":              `50%\r100%`,
		"\u009b31m":              `\u009b31m`,
		"approve \u202edenied":   `approve \u202edenied`,
		"half \xff a character":  "half \ufffd a character",
		"\x00\x7f\b\u2066\u200f": `\x00\x7f\b\u2066\u200f`,
	} {
		var out strings.Builder
		n, err := visible{&out}.Write([]byte(text))
		if err != nil || n != len(text) || out.String() != want {
			t.Errorf("%q is shown as %q (%d of %d, %v), want %q", text, out.String(), n, len(text), err, want)
		}
	}
}

func TestAWatchedRequestDoesNothingToATerminal(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]0;owned\a\u202e"
	w := &watched{request: api.Request{
		Name: evil, State: provision.Applying, Waiting: evil, CreatedAt: time.Now(),
		Steps: []api.Step{{Step: 1, Name: "make " + evil, Status: provision.StepInProgress, Details: evil}},
	}}
	var out strings.Builder
	d := &liveDisplay{out: &out, width: func() int { return 120 }}
	d.begin(w)
	d.tick(w, time.Now())
	d.tick(w, time.Now())
	d.end(w)
	own := strings.NewReplacer("\x1b[1A", "", "\x1b[2A", "", "\x1b[3A", "", "\x1b[J", "").Replace(out.String())
	if strings.ContainsAny(own, "\x1b\a\u202e") || !strings.Contains(own, "make") {
		t.Errorf("a terminal would act on %q", own)
	}
}
