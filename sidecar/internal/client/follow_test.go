package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestFollowResumesWhereItWas(t *testing.T) {
	t.Parallel()
	id := provision.NewID()
	state := answer{body: api.RequestAnswer{Request: requestOf(id, provision.Applying)}}
	ended := answer{body: api.RequestAnswer{Request: requestOf(id, provision.Succeeded)}}
	tests := map[string]struct {
		answers []answer // to the calls, in order
		calls   []string // operations, with Last-Event-ID
		from    int64
		want    []int64
	}{
		"in one go": {
			answers: []answer{stream(frames(id, 1, 4, 4), false)},
			calls:   []string{"requestEvents 0"}, want: []int64{1, 2, 3, 4},
		},
		"from a number": {
			answers: []answer{stream(frames(id, 3, 4, 4), false)},
			calls:   []string{"requestEvents 2"}, from: 2, want: []int64{3, 4},
		},
		"over a cut connection, in the middle of an event": {
			answers: []answer{stream(frames(id, 1, 2, 4)+"id: 3\nevent: step.progressed\nda", true), stream(frames(id, 3, 4, 4), false)},
			calls:   []string{"requestEvents 0", "requestEvents 2"}, want: []int64{1, 2, 3, 4},
		},
		"over a sidecar that is away": {
			answers: []answer{stream(frames(id, 1, 2, 4), true), refusalBody(503, "ServiceUnavailableError", "later"), stream(frames(id, 3, 4, 4), false)},
			calls:   []string{"requestEvents 0", "requestEvents 2", "requestEvents 2"}, want: []int64{1, 2, 3, 4},
		},
		"over a sidecar that stops in order": {
			answers: []answer{stream(frames(id, 1, 2, 4), false), state, stream(frames(id, 3, 4, 4), false)},
			calls:   []string{"requestEvents 0", "getRequest ", "requestEvents 2"}, want: []int64{1, 2, 3, 4},
		},
		"what it gave twice is seen once": {
			answers: []answer{stream(frames(id, 1, 3, 4), true), stream(frames(id, 2, 4, 4), false)},
			calls:   []string{"requestEvents 0", "requestEvents 3"}, want: []int64{1, 2, 3, 4},
		},
		"past a sidecar that stopped before the last event": {
			answers: []answer{stream(frames(id, 1, 2, 4), false), ended, {body: api.EventList{Items: []api.Event{event(id, 3, 4), event(id, 4, 4)}}}, {body: api.EventList{Items: []api.Event{}}}},
			calls:   []string{"requestEvents 0", "getRequest ", "requestEvents ", "requestEvents "}, want: []int64{1, 2, 3, 4},
		},
		"after the end there is nothing": {
			answers: []answer{stream("", false), ended, {body: api.EventList{Items: []api.Event{}}}},
			calls:   []string{"requestEvents 4", "getRequest ", "requestEvents "}, from: 4,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, func(a asked) answer {
				if a.Number > len(tt.answers) {
					return refusalBody(404, "NotFoundError", "asked too often")
				}
				return tt.answers[a.Number-1]
			})
			var got []int64
			err := d.client().Follow(t.Context(), id, tt.from, func(e api.Event) error {
				got = append(got, e.Sequence)
				return nil
			})
			if err != nil {
				t.Errorf("Follow: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			var calls []string
			for _, call := range d.calls() {
				calls = append(calls, call.Operation+" "+call.Header.Get("Last-Event-ID"))
			}
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	id := provision.NewID()
	enough := errors.New("enough")
	t.Run("with the reader's error", func(t *testing.T) {
		t.Parallel()
		d := newDouble(t, func(asked) answer { return stream(frames(id, 1, 4, 4), false) })
		seen := 0
		err := d.client().Follow(t.Context(), id, 0, func(api.Event) error { seen++; return enough })
		if err != enough || seen != 1 {
			t.Errorf("Follow gave %v after %d events, want the reader's error after one", err, seen)
		}
	})
	t.Run("with a refusal", func(t *testing.T) {
		t.Parallel()
		d := newDouble(t, func(asked) answer { return refusalBody(403, "NotAllowedError", "not yours") })
		if err := d.client().Follow(t.Context(), id, 0, func(api.Event) error { return nil }); provision.KindOf(err) != provision.Denied {
			t.Errorf("Follow gave %v, want Denied", err)
		}
	})
	t.Run("with its context, while the sidecar is away, and tells of it", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told := 0
		d := newDouble(t, func(a asked) answer { return refusalBody(503, "ServiceUnavailableError", "later") })
		c := d.client(Interrupted(func(err error) {
			if told++; told == 2 {
				cancel()
			}
		}))
		if err := c.Follow(ctx, id, 0, func(api.Event) error { return nil }); !errors.Is(err, context.Canceled) || told != 2 {
			t.Errorf("Follow gave %v and told %d times", err, told)
		}
	})
	t.Run("at what is no stream of events", func(t *testing.T) {
		t.Parallel()
		for name, a := range map[string]answer{
			"another type": {header: map[string]string{"Content-Type": "text/html"}, body: "<html>", loose: true},
			"a wrong id":   stream("id: one\nevent: a.b\ndata: {}\n\n", false),
			"no JSON":      stream("id: 1\nevent: a.b\ndata: {\n\n", false),
			"a long line":  stream("id: 1\nevent: a.b\ndata: "+strings.Repeat("x", maxFrame)+"\n\n", false),
		} {
			d := newDouble(t, func(asked) answer { return a })
			if err := d.client().Follow(t.Context(), id, 0, func(api.Event) error { return nil }); err == nil || len(d.calls()) != 1 {
				t.Errorf("%s: Follow gave %v after %d calls, want an error after one", name, err, len(d.calls()))
			}
		}
	})
}

func TestASilentStreamIsLeft(t *testing.T) {
	t.Parallel()
	id := provision.NewID()
	release := make(chan struct{})
	d := newDouble(t, func(a asked) answer {
		if a.Number == 1 {
			<-release // nothing comes, not even a comment
		}
		return stream(frames(id, 1, 1, 1), false)
	})
	t.Cleanup(func() { close(release) })
	c := d.client()
	c.silence = 50 * time.Millisecond
	var got []int64
	err := c.Follow(t.Context(), id, 0, func(e api.Event) error {
		got = append(got, e.Sequence)
		return nil
	})
	if err != nil || !slices.Equal(got, []int64{1}) {
		t.Errorf("Follow gave %v with events %v", err, got)
	}
}

func TestFollowLogReadsToTheEnd(t *testing.T) {
	t.Parallel()
	id := provision.NewID()
	line := func(n int) string {
		return fmt.Sprintf("id: %d\nevent: log\ndata: {\"position\":%d,\"at\":\"2025-09-01T12:00:00Z\",\"text\":\"line %d\"}\n\n", n, n, n)
	}
	d := newDouble(t, func(a asked) answer {
		switch a.Number {
		case 1:
			return stream(line(1)+line(2), true)
		case 2:
			return stream(line(3), false)
		case 3:
			return answer{body: api.RequestAnswer{Request: requestOf(id, provision.Failed)}}
		case 4:
			return answer{body: api.LogList{Items: []provision.LogEntry{{Position: 4, At: noon, Text: "line 4"}}}}
		default:
			return answer{body: api.LogList{Items: []provision.LogEntry{}}}
		}
	})
	var got []string
	err := d.client().FollowLog(t.Context(), id, 0, func(l provision.LogEntry) error {
		got = append(got, l.Text)
		return nil
	})
	if diff := cmp.Diff([]string{"line 1", "line 2", "line 3", "line 4"}, got); err != nil || diff != "" {
		t.Errorf("FollowLog: %v; lines (-want +got):\n%s", err, diff)
	}
}
