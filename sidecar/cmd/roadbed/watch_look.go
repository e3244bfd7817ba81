package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// lookEvery is how often a watched request is looked at for what no event
// tells: its place in line, when it will be done, what has stalled.
const lookEvery = 5 * time.Second

// looks are looks at a request until ctx ends. One that fails is left out: the
// events tell that the sidecar is away.
func (c *connection) looks(ctx context.Context, id uuid.UUID) <-chan api.Request {
	looks := make(chan api.Request)
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			if r, err := c.Request(ctx, id); err == nil {
				select {
				case looks <- r:
				case <-ctx.Done():
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return looks
}

// look takes from a look what no event tells, and says what is new of it. What
// events tell is left to them.
func (w *watched) look(r api.Request) []string {
	var news []string
	if r.State == provision.Queued && w.request.State == provision.Queued && r.Waiting != "" && r.Waiting != w.request.Waiting {
		w.request.Waiting = r.Waiting
		news = append(news, "queued: "+r.Waiting)
	}
	if e := r.Expected; e != nil && e.By != nil && (w.request.Expected == nil || w.request.Expected.By == nil || e.Late != w.request.Expected.Late) {
		news = append(news, expectedText(*e))
	}
	w.request.Expected = r.Expected
	for i := range w.request.Steps {
		step := &w.request.Steps[i]
		var stalled *api.Stalled
		if i < len(r.Steps) && step.Status == provision.StepInProgress {
			stalled = r.Steps[i].Stalled
		}
		if stalled != nil && step.Stalled == nil {
			news = append(news, fmt.Sprintf("step %d of %d, %s: %s", step.Step, len(w.request.Steps), step.Name, stalledText(*stalled)))
		}
		step.Stalled = stalled
	}
	return news
}

// expectedText is by when a request is done, in local time.
func expectedText(e api.Expected) string {
	if e.By == nil || e.Late {
		return e.Message
	}
	at := e.By.Local()
	layout := "15:04"
	if time.Until(at) > 12*time.Hour {
		layout = "2 Jan 15:04"
	}
	return fmt.Sprintf("90 %% of these finish by %s: %s", at.Format(layout), e.Message)
}

func stalledText(s api.Stalled) string { return withReason(s.Message, s.LastLine) }
