package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	maxStreams      = 5000 // of the process
	maxPerCaller    = 5    // a browser has six connections to a host
	pageSize        = 500
	flushDeadline   = 10 * time.Second
	longestStream   = 30 * time.Minute // then the reader comes back with a token that is still good
	textEvent       = "text/event-stream"
	textPlain       = "text/plain"
	applicationJSON = "application/json"
)

// streams counts open streams, by who reads them.
type streams struct {
	mu           sync.Mutex
	open         int
	perPrincipal map[string]int
}

func (s *streams) enter(subject string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perPrincipal[subject] >= maxPerCaller {
		return nil, &provision.Error{Kind: provision.Unavailable, RetryAfter: 5 * time.Second,
			Message: fmt.Sprintf("%s already reads %d streams; close one, or ask without text/event-stream", subject, maxPerCaller)}
	}
	if s.open >= maxStreams {
		return nil, &provision.Error{Kind: provision.Unavailable, Message: "too many streams are open; ask again shortly", RetryAfter: 5 * time.Second}
	}
	s.open++
	s.perPrincipal[subject]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.perPrincipal[subject]--; s.perPrincipal[subject] == 0 {
			delete(s.perPrincipal, subject)
		}
	}, nil
}

// frame is one event of a stream.
type frame struct {
	id    int64
	event string
	data  any
	last  bool // nothing follows it
}

// source reads the frames after a position, at most pageSize.
type source func(ctx context.Context, after int64) ([]frame, error)

// end tells whether nothing more can come once a source has nothing left. It is
// asked before the source, so that nothing slips between.
type end func(ctx context.Context) (bool, error)

// stream sends what more gives from after on, then waits for what comes, until
// the last frame.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, subject string, watched uuid.UUID, after int64, more source, ended end) error {
	leave(r)
	quit, err := s.streams.enter(subject)
	if err != nil {
		return err
	}
	defer quit()
	woken := make(<-chan struct{})
	if s.Watcher != nil {
		bell, stop := s.Watcher.Watch(watched)
		defer stop()
		woken = bell
	}
	first, over, err := s.next(r.Context(), after, more, ended)
	if err != nil {
		return err // nothing is sent yet, so it can still be an answer
	}
	s.Metrics.streams.Inc()
	defer s.Metrics.streams.Dec()

	header := w.Header()
	header.Set("Content-Type", textEvent)
	header.Set("Cache-Control", "no-cache, no-transform") // a proxy that compresses would hold events back
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := &writer{w: w, control: http.NewResponseController(w)}
	// The end of the stream is written after the handler: it needs its own time.
	defer func() { _ = out.control.SetWriteDeadline(time.Now().Add(flushDeadline)) }()
	out.send("retry: 2000\n\n", first)
	if len(first) > 0 {
		after = first[len(first)-1].id
	}
	poll, beat, enough := time.NewTicker(s.Poll), time.NewTicker(s.Beat), time.NewTimer(longestStream)
	defer poll.Stop()
	defer beat.Stop()
	defer enough.Stop()
	for out.err == nil && !over {
		select {
		case <-r.Context().Done():
			return nil
		case <-s.draining:
			return nil
		case <-enough.C:
			return nil
		case <-beat.C:
			out.send(":\n\n", nil)
			continue
		case <-woken:
		case <-poll.C:
		}
		var frames []frame
		if frames, over, err = s.next(r.Context(), after, more, ended); err != nil {
			if r.Context().Err() == nil {
				s.Log.WarnContext(r.Context(), "stream ended early; its reader resumes", "subject", subject, "err", err)
			}
			return nil
		}
		if len(frames) > 0 {
			out.send("", frames)
			after = frames[len(frames)-1].id
		}
	}
	return nil
}

// next is every frame after a position, page by page, and whether it is the end.
func (s *Server) next(ctx context.Context, after int64, more source, ended end) (all []frame, over bool, err error) {
	over, err = ended(ctx)
	if err != nil {
		return nil, false, err
	}
	for {
		frames, err := more(ctx, after)
		if err != nil {
			return nil, false, err
		}
		all = append(all, frames...)
		if n := len(all); n > 0 && all[n-1].last {
			return all, true, nil
		}
		if len(frames) < pageSize {
			return all, over, nil
		}
		after = frames[len(frames)-1].id
		if len(all) >= 10*pageSize {
			return all, false, nil // the rest at the next look: memory is bounded
		}
	}
}

// writer writes frames; after the first error it writes nothing.
type writer struct {
	w       io.Writer
	control *http.ResponseController
	err     error
}

func (o *writer) send(prefix string, frames []frame) {
	if o.err != nil {
		return
	}
	text := []byte(prefix)
	for _, f := range frames {
		data, err := json.Marshal(f.data)
		if err != nil {
			o.err = fmt.Errorf("encode event %d: %w", f.id, err)
			return
		}
		text = fmt.Appendf(text, "id: %d\nevent: %s\ndata: %s\n\n", f.id, f.event, data)
	}
	// A reader that takes nothing for so long is gone; it resumes from its last id.
	o.err = o.control.SetWriteDeadline(time.Now().Add(flushDeadline))
	if o.err == nil {
		_, o.err = o.w.Write(text)
	}
	if o.err == nil {
		o.err = o.control.Flush()
	}
}

func (s *Server) requestEvents(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	request, err := s.readable(r, p)
	if err != nil {
		return err
	}
	from, err := after(r)
	if err != nil {
		return err
	}
	if prefers(r, textEvent, applicationJSON) == applicationJSON {
		events, err := s.Reader.EventsAfter(r.Context(), request.ID, from, pageSize)
		if err != nil {
			return err
		}
		list := api.EventList{Items: []api.Event{}}
		for _, e := range events {
			list.Items = append(list.Items, eventView(e))
		}
		return writeJSON(w, http.StatusOK, list)
	}
	more := func(ctx context.Context, after int64) ([]frame, error) {
		events, err := s.Reader.EventsAfter(ctx, request.ID, after, pageSize)
		if err != nil {
			return nil, err
		}
		frames := make([]frame, len(events))
		for i, e := range events {
			last := e.Entity == "request" && provision.State(e.Verb).Terminal() && isState(e.Verb)
			frames[i] = frame{e.Sequence, e.Entity + "." + e.Verb, eventView(e), last}
		}
		return frames, nil
	}
	return s.stream(w, r, p.Subject, request.ID, from, more, ended(request))
}

// isState reports whether an event's verb is the state that it tells.
func isState(verb string) bool {
	for _, state := range provision.States() {
		if string(state) == verb {
			return true
		}
	}
	return false
}

// ended is the end of a request's events. It is asked once: a reader may come
// back after the last event; later the last event itself ends the stream.
func ended(request provision.Request) end {
	return func(context.Context) (bool, error) {
		return request.State.Terminal(), nil
	}
}

// quiet is the end of a request's log: the request has ended, and for some looks
// nothing has come, because lines travel more slowly than the outcome.
func (s *Server) quiet(p provision.Principal, id uuid.UUID) end {
	const looks, settled = 3, 10 * time.Second
	seen := 0
	return func(ctx context.Context) (bool, error) {
		if seen == 0 {
			request, err := s.Service.Request(ctx, p, id)
			if err != nil || !request.State.Terminal() {
				return false, err
			}
			if s.Now().Sub(request.UpdatedAt) > settled {
				seen = looks
			}
		}
		seen++
		return seen > looks, nil
	}
}

func (s *Server) requestLogs(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	request, err := s.readable(r, p)
	if err != nil {
		return err
	}
	from, err := after(r)
	if err != nil {
		return err
	}
	switch prefers(r, applicationJSON, textEvent, textPlain) {
	case textEvent:
		more := func(ctx context.Context, after int64) ([]frame, error) {
			lines, err := s.Reader.LogAfter(ctx, request.ID, after, pageSize)
			if err != nil {
				return nil, err
			}
			frames := make([]frame, len(lines))
			for i, line := range lines {
				frames[i] = frame{id: line.Position, event: "log", data: line}
			}
			return frames, nil
		}
		return s.stream(w, r, p.Subject, request.ID, from, more, s.quiet(p, request.ID))
	case textPlain:
		return s.plainLog(w, r, request.ID, from)
	}
	lines, err := s.Reader.LogAfter(r.Context(), request.ID, from, pageSize)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.LogList{Items: orEmpty(lines)})
}

// plainLog writes the whole log, page by page.
func (s *Server) plainLog(w http.ResponseWriter, r *http.Request, id uuid.UUID, from int64) error {
	control := http.NewResponseController(w)
	for begun := false; ; begun = true {
		lines, err := s.Reader.LogAfter(r.Context(), id, from, pageSize)
		if err != nil {
			return err
		}
		if !begun {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Cache-Control", "no-cache, no-transform")
			w.WriteHeader(http.StatusOK)
		}
		_ = control.SetWriteDeadline(time.Now().Add(flushDeadline)) // without one the server's own holds
		for _, line := range lines {
			if _, err := fmt.Fprintf(w, "%s %s\n", line.At.UTC().Format(time.RFC3339), line.Text); err != nil {
				return nil // the reader has left
			}
		}
		if len(lines) < pageSize {
			return nil
		}
		from = lines[len(lines)-1].Position
	}
}
