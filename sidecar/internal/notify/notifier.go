package notify

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	routed = 50               // events that are routed at once
	hold   = 2 * patience     // before another replica may have what one that was killed had in hand
	tries  = 12               // attempts before a notice is given up: three quarters of an hour
	rest   = 15 * time.Minute // the longest wait between two attempts
	pause  = time.Second      // between two looks at what is due
)

// Store keeps notices. Each method may block on the database and is Unavailable
// while that is down.
type Store interface {
	ClaimNotices(ctx context.Context, channel string, limit int, hold time.Duration) ([]provision.Notice, error)
	RouteNotice(ctx context.Context, eventID uuid.UUID, channels []string) error
	NoticeSent(ctx context.Context, eventID uuid.UUID, channel string) error
	NoticeFailed(ctx context.Context, eventID uuid.UUID, channel, why string, again time.Duration) error
	CountNotices(ctx context.Context) (waiting, failed int64, err error)
	previewStore
}

// Settings are what a Notifier needs.
type Settings struct {
	Config    Config
	Store     Store
	Log       *slog.Logger
	Registry  *prometheus.Registry
	Portal    Portal    // nil when nobody can be told there: its channels are left out
	Addresses Addresses // nil: no mail goes to whoever asked
	Link      string    // where people reach the portal, "" when unknown
	Client    *http.Client
	Now       func() time.Time                                    // nil is time.Now
	Watch     func(loop string) (begin func() (done func(error))) // is told of each loop's rounds; nil: nobody is
	Backoff   time.Duration                                       // before the second attempt; each later wait is twice as long; 0 is 2 s
}

// Notifier sends notices. Several replicas may run at once.
type Notifier struct {
	Settings
	channels map[string]channel
	wake     map[string]chan struct{} // by channel; "" is the router's
	sent     *prometheus.CounterVec
	errors   *prometheus.CounterVec
	waiting  prometheus.Gauge
	failed   prometheus.Gauge
}

// New makes a Notifier that sends nothing yet.
func New(s Settings) *Notifier {
	if s.Client == nil {
		s.Client = &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Backoff == 0 {
		s.Backoff = 2 * time.Second
	}
	n := &Notifier{
		Settings: s, channels: map[string]channel{}, wake: map[string]chan struct{}{"": make(chan struct{}, 1)},
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roadbed_notifications_sent_total", Help: "Notices that arrived, by channel.",
		}, []string{"channel"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roadbed_notifications_errors_total", Help: "Attempts to send a notice that failed, by channel.",
		}, []string{"channel"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "roadbed_notifications_waiting", Help: "Notices that wait to be sent."}),
		failed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roadbed_notifications_failed", Help: "Notices that were given up; see roadbed notifications failed.",
		}),
	}
	s.Registry.MustRegister(n.sent, n.errors, n.waiting, n.failed)
	for name, c := range s.Config.Channels {
		switch {
		case c.Slack != nil:
			n.channels[name] = slack{*c.Slack, s.Client}
		case c.Webhook != nil:
			n.channels[name] = webhook{*c.Webhook, s.Client, s.Now}
		case c.SMTP != nil:
			n.channels[name] = mailbox{*c.SMTP, s.Addresses, s.Now}
			if s.Addresses == nil && slices.Contains(c.SMTP.To, requester) {
				s.Log.Warn("whoever asked gets no mail: there is no --signing-key to ask the catalog for addresses with", "channel", name)
			}
		case c.GitHub != nil:
			n.channels[name] = pulls{*c.GitHub, s.Client, s.Store, s.Link, s.Now}
		case s.Portal != nil:
			n.channels[name] = portal{s.Portal}
		default:
			s.Log.Warn("nobody can be told in Backstage: there is no --signing-key", "channel", name)
			continue
		}
		n.wake[name] = make(chan struct{}, 1)
	}
	return n
}

// Hear is told of committed events, so that they need not be looked for. It
// never blocks.
func (n *Notifier) Hear(events []provision.Event) {
	if slices.ContainsFunc(events, n.Config.Notable) {
		n.rouse("")
	}
}

func (n *Notifier) rouse(channel string) {
	select {
	case n.wake[channel] <- struct{}{}:
	default: // it is awake, or there is no such channel any more
	}
}

// Run sends what is due until ctx ends, each channel by itself, so that a slow
// one holds up no other. It returns nil.
func (n *Notifier) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range slices.Sorted(maps.Keys(n.wake)) {
		group.Go(func() error { return n.loop(ctx, name) })
	}
	return group.Wait()
}

// loopOf is the name of a channel's loop.
func loopOf(channel string) string {
	if channel == "" {
		return "notices"
	}
	return "notices to " + channel
}

func (n *Notifier) loop(ctx context.Context, channel string) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	begin := func() func(error) { return func(error) {} }
	if n.Watch != nil {
		begin = n.Watch(loopOf(channel))
	}
	for {
		done := begin()
		more, err := n.turn(ctx, channel)
		done(err)
		if err != nil && ctx.Err() == nil && provision.KindOf(err) != provision.Unavailable {
			n.Log.Error("notices not handled", "channel", channel, "err", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.wake[channel]:
		}
	}
}

// turn handles what is due; more says that there may be more.
func (n *Notifier) turn(ctx context.Context, channel string) (more bool, err error) {
	limit := 1 // a notice may take all of patience, and what is claimed is held
	if channel == "" {
		limit = routed
		if waiting, failed, err := n.Store.CountNotices(ctx); err == nil {
			n.waiting.Set(float64(waiting))
			n.failed.Set(float64(failed))
		}
	}
	notices, err := n.Store.ClaimNotices(ctx, channel, limit, hold)
	if err != nil {
		return false, err
	}
	for _, notice := range notices {
		if ctx.Err() != nil {
			return false, nil // what is claimed comes again
		}
		about, err := n.about(ctx, notice.Event)
		switch {
		case err != nil:
			return false, err
		case channel == "":
			err = n.route(ctx, notice.Event, about)
		default:
			err = n.attempt(ctx, notice, about)
		}
		if err != nil {
			return false, err
		}
	}
	return len(notices) == limit, nil
}

// about looks up what an event is about; nothing of what is gone.
func (n *Notifier) about(ctx context.Context, e provision.Event) (subject, error) {
	request, err := n.Store.Request(ctx, e.SubjectID)
	if err == nil {
		return subject{request: &request}, nil
	}
	if provision.KindOf(err) != provision.NotFound {
		return subject{}, err
	}
	instance, err := n.Store.Instance(ctx, e.SubjectID)
	if err == nil {
		return subject{instance: &instance}, nil
	}
	if provision.KindOf(err) != provision.NotFound {
		return subject{}, err
	}
	return subject{}, nil
}

func (n *Notifier) route(ctx context.Context, e provision.Event, about subject) error {
	_, owner, offering := about.name()
	channels := slices.DeleteFunc(n.Config.to(e, owner, offering), func(name string) bool { return n.channels[name] == nil })
	if err := n.Store.RouteNotice(ctx, e.ID, channels); err != nil {
		return err
	}
	for _, name := range channels {
		n.rouse(name)
	}
	return nil
}

// attempt sends a notice once and keeps what became of it, though ctx has ended
// meanwhile.
func (n *Notifier) attempt(ctx context.Context, notice provision.Notice, about subject) error {
	sending, cancel := context.WithTimeout(ctx, patience)
	err := n.channels[notice.Channel].send(sending, notice.Event.ID, notice.Event, about, describe(notice.Event, about, n.Link))
	cancel()
	if err != nil && ctx.Err() != nil {
		return nil // it was cut off by the end, and comes again
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err == nil {
		n.sent.WithLabelValues(notice.Channel).Inc()
		return n.Store.NoticeSent(ctx, notice.Event.ID, notice.Channel)
	}
	n.errors.WithLabelValues(notice.Channel).Inc()
	again := min(rest, n.Backoff<<min(notice.Attempts, 20))
	log := n.Log.With("channel", notice.Channel, "type", notice.Event.Type(), "event_id", notice.Event.ID, "err", err)
	if notice.Attempts+1 >= tries {
		again = -1
		log.Error("notice given up; see roadbed notifications failed")
	} else {
		log.Warn("notice not sent; it is tried again", "after", again)
	}
	return n.Store.NoticeFailed(ctx, notice.Event.ID, notice.Channel, shortened(err.Error(), 500), again)
}
