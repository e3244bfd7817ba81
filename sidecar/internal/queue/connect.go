package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// patience is how long one call to NATS may take before it counts as down.
const patience = 5 * time.Second

// Config is how to reach NATS.
type Config struct {
	URL             string   // nats://host:4222 or tls://…; several are separated by commas; a token may be its user
	Name            string   // how this process shows in NATS' own lists
	CredentialsFile string   // a user's JWT and key; "" for none
	KeyFile         string   // a user's nkey seed; "" for none
	Inbox           string   // what the subjects of answers begin with; "" is _INBOX
	CAFile          string   // PEM that the server's certificate is checked with; "" for the system's
	Replicas        int      // copies of each stream, 1, 3 or 5; 0 is 1
	OwnsStreams     bool     // make the streams and consumers and mend them: the sidecar does, workers and followers only use them
	Pools           []string // whose consumers are made with the streams
	Log             *slog.Logger
}

// Queue is one connection to NATS. It may be used by many goroutines.
type Queue struct {
	conn *nats.Conn
	js   jetstream.JetStream
	cfg  Config
	log  *slog.Logger

	mu    sync.Mutex
	turn  chan struct{}   // closed whenever the connection is lost or comes back
	pools map[string]bool // whose consumers are made with the streams
}

// Connect begins to connect and goes on for ever in the background: NATS need
// not be up. An error means that the configuration is unusable. Close ends it.
func Connect(ctx context.Context, cfg Config) (*Queue, error) {
	q := &Queue{cfg: cfg, log: cfg.Log, turn: make(chan struct{}), pools: map[string]bool{}}
	for _, pool := range cfg.Pools {
		if _, err := token("pool", pool); err != nil {
			return nil, err
		}
		q.pools[pool] = true
	}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	options := []nats.Option{
		nats.Name(cfg.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 250*time.Millisecond),
		nats.IgnoreAuthErrorAbort(),
		// What cannot be sent now is refused now: its owner keeps it and sends
		// it again, so a buffer would only hide that NATS is away.
		nats.ReconnectBufSize(-1),
		nats.Timeout(patience),
		nats.PingInterval(10 * time.Second),
		nats.ConnectHandler(func(*nats.Conn) { q.log.Info("nats connected") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			q.nextTurn()
			if ctx.Err() == nil && err != nil {
				q.log.Warn("nats connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			q.nextTurn()
			q.log.Info("nats connected")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			q.log.Warn("nats complained", "err", err)
		}),
	}
	identity, err := cfg.identity()
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(cfg.URL, append(options, identity...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS as %s: %w", cfg.Name, err)
	}
	js, err := jetstream.New(conn,
		jetstream.WithDefaultTimeout(patience),
		jetstream.WithPublishAsyncTimeout(patience),
		jetstream.WithPublishAsyncMaxPending(4096),
	)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("use JetStream as %s: %w", cfg.Name, err)
	}
	q.conn, q.js = conn, js
	return q, nil
}

// identity is who connects, and whom it trusts.
func (cfg Config) identity() (options []nats.Option, err error) {
	if cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(cfg.CredentialsFile))
	}
	if cfg.KeyFile != "" {
		key, err := nats.NkeyOptionFromSeed(cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the NATS key %s: %w", cfg.KeyFile, err)
		}
		options = append(options, key)
	}
	if cfg.Inbox != "" {
		options = append(options, nats.CustomInboxPrefix(cfg.Inbox))
	}
	if cfg.CAFile != "" {
		options = append(options, nats.RootCAs(cfg.CAFile))
	}
	return options, nil
}

// Close ends the connection. Consumers must have returned; it may be repeated.
func (q *Queue) Close() { q.conn.Close() }

// Ready is nil while NATS can be reached, else Unavailable. It does not block.
func (q *Queue) Ready() error {
	if q.conn.IsConnected() {
		return nil
	}
	return unreachable("look at the connection", nats.ErrConnectionClosed)
}

func (q *Queue) nextTurn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.turn)
	q.turn = make(chan struct{})
}

// session is a context that ends with ctx and with the present connection: a
// request that NATS has forgotten would otherwise be waited for in vain.
func (q *Queue) session(ctx context.Context) (context.Context, context.CancelFunc) {
	q.mu.Lock()
	turn := q.turn
	q.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-turn:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// forever runs session after session until ctx ends, resting between them.
func (q *Queue) forever(ctx context.Context, name string, run func(context.Context) error) {
	rest := rests{least: 50 * time.Millisecond, most: time.Second}
	var said string // the error that was logged last; one that lasts is logged once
	for ctx.Err() == nil {
		session, end := q.session(ctx)
		began := time.Now()
		err := run(session)
		interrupted := session.Err() != nil
		end()
		if time.Since(began) > rest.most {
			rest.n, said = 0, ""
		}
		if err != nil && !interrupted && q.conn.IsConnected() && err.Error() != said {
			said = err.Error()
			q.log.Warn("consumer interrupted; it goes on", "consumer", name, "err", err)
		}
		rest.wait(ctx)
	}
}

// rests are pauses that double from least to most.
type rests struct {
	least, most time.Duration
	n           int
}

func (r *rests) wait(ctx context.Context) {
	pause := min(r.least<<r.n, r.most)
	if pause < r.most {
		r.n++
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// unreachable makes what NATS answered an error for callers.
func unreachable(doing string, err error) error {
	var refused *jetstream.APIError
	if errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum {
		return provision.Errorf(provision.Invalid, "%s: the message is larger than %d KB; shorten it", doing, maxMessage>>10)
	}
	return provision.Unreachable("NATS", fmt.Errorf("%s: %w", doing, err))
}
