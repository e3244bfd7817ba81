package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	silence  = 45 * time.Second // three missed comments: the line is dead
	maxFrame = 1 << 20          // bytes of one line of a stream
)

// Follow gives each event of a request after a sequence number to f, in order
// and once, until the request has ended; then it returns nil. It resumes after a
// lost connection, for as long as ctx lasts. An error of f ends it.
func (c *Client) Follow(ctx context.Context, id uuid.UUID, after int64, f func(api.Event) error) error {
	return c.follow(ctx, id, "/events", after, func(fr streamFrame) (bool, error) {
		var e api.Event
		if err := json.Unmarshal(fr.data, &e); err != nil {
			return false, fmt.Errorf("decode event %d of request %s: %w", fr.id, id, err)
		}
		entity, verb, _ := strings.Cut(fr.event, ".")
		over := entity == "request" && slices.Contains(provision.States(), provision.State(verb)) && provision.State(verb).Terminal()
		return over, f(e)
	})
}

// FollowLogs gives each log line of a request after a position to f, as Follow
// does for events.
func (c *Client) FollowLogs(ctx context.Context, id uuid.UUID, after int64, f func(provision.LogEntry) error) error {
	return c.follow(ctx, id, "/logs", after, func(fr streamFrame) (bool, error) {
		var line provision.LogEntry
		if err := json.Unmarshal(fr.data, &line); err != nil {
			return false, fmt.Errorf("decode log line %d of request %s: %w", fr.id, id, err)
		}
		return false, f(line)
	})
}

// streamFrame is one event of a stream.
type streamFrame struct {
	id    int64
	event string
	data  []byte
}

// errStop is an error of the reader, which no new connection mends.
type errStop struct{ error }

func (e errStop) Unwrap() error { return e.error }

// follow reads a stream and resumes it until take says that it is over, or the
// sidecar has closed it and the request has ended.
func (c *Client) follow(ctx context.Context, id uuid.UUID, path string, after int64, take func(streamFrame) (over bool, err error)) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 10 * time.Second}
	pause.Reset()
	for {
		before := after
		over, err := c.read(ctx, "/requests/"+id.String()+path, &after, take)
		var stop errStop
		switch {
		case errors.As(err, &stop):
			return stop.error
		case over:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && provision.KindOf(err) != provision.Unavailable:
			return err
		case err == nil: // closed in order: is it the end?
			request, err := c.Request(ctx, id)
			if err == nil && request.State.Terminal() {
				return nil
			}
			if err != nil && provision.KindOf(err) != provision.Unavailable {
				return err
			}
		}
		if after > before {
			pause.Reset()
		}
		wait := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
	}
}

// read takes frames from one connection; nil means that it was closed in order.
func (c *Client) read(ctx context.Context, path string, after *int64, take func(streamFrame) (bool, error)) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(silence, cancel)
	defer watch.Stop()
	res, err := c.send(ctx, call{method: http.MethodGet, path: path, header: http.Header{
		"Accept": {"text/event-stream"}, "Last-Event-Id": {strconv.FormatInt(*after, 10)},
	}})
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	frames := newFrameReader(res.Body, func() { watch.Reset(silence) })
	for {
		f, err := frames.next()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, c.unreachable(fmt.Errorf("read stream %s: %w", path, err))
		}
		if f.id <= *after {
			continue // seen before
		}
		over, err := take(f)
		if err != nil {
			return false, errStop{err}
		}
		*after = f.id
		if over {
			return true, nil
		}
	}
}

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
				return streamFrame{}, fmt.Errorf("event id %q is not a number", value)
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
	if err := r.lines.Err(); err != nil {
		return streamFrame{}, err
	}
	return streamFrame{}, io.EOF
}
