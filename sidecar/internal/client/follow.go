package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const maxFrame = 1 << 20 // bytes of one line of a stream

// Follow gives each event of a request after a sequence number to f, in order
// and once, until the request has ended; then it returns nil. A lost connection
// and a sidecar that is away are resumed from the last event, for as long as ctx
// lasts. An error of f ends it and is returned as it is.
func (c *Client) Follow(ctx context.Context, id uuid.UUID, after int64, f func(api.Event) error) error {
	take := func(fr streamFrame) (bool, error) {
		var e api.Event
		if err := decode(fr.data, &e); err != nil {
			return false, fmt.Errorf("decode event %d of request %s: %w", fr.id, id, err)
		}
		entity, verb, _ := strings.Cut(fr.event, ".")
		state := provision.State(verb)
		return entity == "request" && slices.Contains(provision.States(), state) && state.Terminal(), f(e)
	}
	return c.follow(ctx, id, "/events", after, take, func(after *int64) (int, error) {
		events, err := c.Events(ctx, id, *after)
		for _, e := range events {
			if err := f(e); err != nil {
				return 0, stop{err}
			}
			*after = e.Sequence
		}
		return len(events), err
	})
}

// FollowLog gives each log line of a request after a position to f, as Follow
// does for events.
func (c *Client) FollowLog(ctx context.Context, id uuid.UUID, after int64, f func(provision.LogEntry) error) error {
	take := func(fr streamFrame) (bool, error) {
		var line provision.LogEntry
		if err := decode(fr.data, &line); err != nil {
			return false, fmt.Errorf("decode log line %d of request %s: %w", fr.id, id, err)
		}
		return false, f(line)
	}
	return c.follow(ctx, id, "/logs", after, take, func(after *int64) (int, error) {
		lines, err := c.Logs(ctx, id, *after)
		for _, line := range lines {
			if err := f(line); err != nil {
				return 0, stop{err}
			}
			*after = line.Position
		}
		return len(lines), err
	})
}

// streamFrame is one event of a stream.
type streamFrame struct {
	id    int64
	event string
	data  []byte
}

// stop is an error of whoever reads, which no new connection mends.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// follow reads a stream and resumes it until take says that it is over, or the
// sidecar has closed it and the request has ended. A sidecar that stops closes
// streams too, perhaps before the last frames: page reads what there is of them.
func (c *Client) follow(
	ctx context.Context, id uuid.UUID, path string, after int64,
	take func(streamFrame) (over bool, err error), page func(after *int64) (n int, err error),
) error {
	pause := pauses(10 * time.Second)
	for {
		before := after
		over, err := c.read(ctx, "/requests/"+id.String()+path, &after, take)
		if !over && err == nil && ctx.Err() == nil {
			over, err = c.finish(ctx, id, &after, page)
		}
		var reader stop
		switch {
		case errors.As(err, &reader):
			return reader.error
		case over:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && provision.KindOf(err) != provision.Unavailable:
			return err
		case err != nil:
			c.interrupted(err)
		}
		if after > before {
			pause.Reset()
		}
		if err := rest(ctx, pause.NextBackOff(), err); err != nil {
			return err
		}
	}
}

// finish reads the pages that a closed stream has left, if the request has
// ended; over says whether it has.
func (c *Client) finish(ctx context.Context, id uuid.UUID, after *int64, page func(*int64) (int, error)) (over bool, err error) {
	impatient := *c
	impatient.retry = 0 // follow repeats, and tells of it
	request, err := impatient.Request(ctx, id)
	if err != nil || !request.State.Terminal() {
		return false, err
	}
	for {
		n, err := page(after)
		if err != nil || n == 0 {
			return err == nil, err
		}
	}
}

// rest waits for pause, or for as long as err asks.
func rest(ctx context.Context, pause time.Duration, err error) error {
	var busy *provision.Error
	if errors.As(err, &busy) {
		pause = max(pause, busy.RetryAfter)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// read takes frames from one connection; nil means that it was closed in order.
func (c *Client) read(ctx context.Context, path string, after *int64, take func(streamFrame) (bool, error)) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(c.silence, cancel)
	defer watch.Stop()
	res, err := c.send(ctx, call{method: http.MethodGet, path: path, header: http.Header{
		"Accept": {"text/event-stream"}, "Last-Event-Id": {strconv.FormatInt(*after, 10)},
	}})
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "text/event-stream" {
		return false, fmt.Errorf("read stream %s: the answer is %q, not text/event-stream", path, kind)
	}
	frames := newFrameReader(res.Body, func() { watch.Reset(c.silence) })
	for {
		f, err := frames.next()
		switch {
		case err == io.EOF:
			return false, nil
		case errors.Is(err, errFrame):
			return false, fmt.Errorf("read stream %s: %w", path, err)
		case err != nil:
			return false, c.unreachable(fmt.Errorf("read stream %s: %w", path, err))
		}
		if f.id <= *after {
			continue // seen before
		}
		over, err := take(f)
		if err != nil {
			return false, stop{err}
		}
		*after = f.id
		if over {
			return true, nil
		}
	}
}

// errFrame is a stream that is not one of ours; reading it again gives the same.
var errFrame = errors.New("not a stream of events")

// frameReader reads server-sent events.
type frameReader struct {
	lines *bufio.Scanner
	alive func() // called for every line, comments too
}

func newFrameReader(r io.Reader, alive func()) *frameReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxFrame)
	return &frameReader{lines: lines, alive: alive}
}

// next is the next event with data; io.EOF after the last. An event that the
// end cuts off is dropped: it comes again.
func (r *frameReader) next() (streamFrame, error) {
	var f streamFrame
	for r.lines.Scan() {
		r.alive()
		line := strings.TrimSuffix(r.lines.Text(), "\r")
		if line == "" {
			if f.data != nil {
				return f, nil
			}
			f = streamFrame{}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return streamFrame{}, fmt.Errorf("%w: the id %q is not a number", errFrame, value)
			}
			f.id = id
		case "event":
			f.event = value
		case "data":
			if f.data != nil {
				f.data = append(f.data, '\n')
			}
			f.data = append(f.data, value...)
		}
	}
	switch err := r.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return streamFrame{}, fmt.Errorf("%w: a line is longer than %d bytes", errFrame, maxFrame)
	case err != nil:
		return streamFrame{}, err
	default:
		return streamFrame{}, io.EOF
	}
}
