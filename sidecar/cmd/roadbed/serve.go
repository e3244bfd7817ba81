package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/notify"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/telemetry"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// sidecarConfig is what the sidecar is told. `serve` reads all of it from flags
// and environment; `dev` fills it in.
type sidecarConfig struct {
	ownedFiles
	PolicyFrom   policySource      `embed:"" prefix:"policy-"`
	Listen       string            `help:"Address to serve the API on." default:":7099" env:"ROADBED_LISTEN"`
	Metrics      string            `help:"Address to serve metrics on, without authentication; empty for none." default:"127.0.0.1:9099" env:"ROADBED_METRICS_LISTEN"`
	BaseURL      string            `help:"Where Backstage and workers reach the API." default:"http://localhost:7099/api/roadbed" env:"ROADBED_BASE_URL"`
	Portal       string            `help:"Where people reach Backstage; links lead there." placeholder:"URL" env:"ROADBED_PORTAL_URL"`
	Backstage    string            `help:"Where the sidecar reaches Backstage." placeholder:"URL" required:"" env:"ROADBED_BACKSTAGE_URL"`
	Endpoints    map[string]string `help:"Backstage plugins that are elsewhere, as plugin=base URL; later ones win." placeholder:"PLUGIN=URL" env:"ROADBED_BACKSTAGE_ENDPOINTS"`
	Algorithms   []string          `help:"Token signatures that are accepted." default:"ES256" env:"ROADBED_TOKEN_ALGORITHMS"`
	SigningKey   string            `help:"PEM file of the key that Roadbed signs its own plugin tokens with; without it nobody can approve anything." type:"existingfile" env:"ROADBED_SIGNING_KEY_FILE"`
	Pipelines    string            `help:"File that says whose CI pipelines may ask for ephemeral environments, by OpenID Connect; without it none may." type:"existingfile" env:"ROADBED_PIPELINES_FILE"`
	Published    []string          `name:"also-published" help:"PEM files of keys that are in the key set too: the next one before it signs, the last one until its tokens have ended." type:"existingfile" env:"ROADBED_PUBLISHED_KEY_FILES"`
	Database     string            `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	State        string            `help:"Where the bytes of Terraform states are kept, sealed: s3://bucket/prefix; by default the database." placeholder:"URL" env:"ROADBED_STATE"`
	NATS         string            `name:"nats" help:"NATS URL." required:"" env:"ROADBED_NATS_URL"`
	NATSKey      string            `name:"nats-key" help:"File with the seed of the sidecar's NATS user; see roadbed keys nats." type:"existingfile" env:"ROADBED_NATS_KEY_FILE"`
	NATSCA       string            `name:"nats-ca-file" help:"PEM file of the authorities that sign the NATS server's certificate; the system's by default." type:"existingfile" env:"ROADBED_NATS_CA_FILE"`
	KeysDir      string            `help:"Folder with sidecar.key and <pool>.pub; see roadbed keys." required:"" type:"existingdir" env:"ROADBED_KEYS_DIR"`
	PoolTokens   map[string]string `help:"Each pool's token file, as pool=file." required:"" placeholder:"POOL=FILE" env:"ROADBED_POOL_TOKEN_FILES"`
	Slots        int               `help:"Runs in flight at once in each pool that data/queue.yaml of the policies does not name." default:"4" env:"ROADBED_POOL_SLOTS"`
	Lease        time.Duration     `help:"How long a worker's claim lasts without renewal; workers renew three times as often." default:"30s" env:"ROADBED_LEASE"`
	QueueTimeout time.Duration     `help:"How long a request may wait for a worker before it fails." default:"24h" env:"ROADBED_QUEUE_TIMEOUT"`

	ApprovalTimeout time.Duration `help:"How long a request may wait for approval before it is denied." default:"72h" env:"ROADBED_APPROVAL_TIMEOUT"`

	Notifications string        `help:"File that says whom to tell of what, in Slack, by mail, by webhook or in Backstage; without it approvers and requesters are told in Backstage." type:"existingfile" env:"ROADBED_NOTIFICATIONS_FILE"`
	DriftEvery    time.Duration `help:"How often each instance is checked for drift; 0 checks only what someone asks for." default:"24h" env:"ROADBED_DRIFT_EVERY"`

	Publish string `help:"What becomes of a later version of an offering in the folder: auto publishes it at once, manual makes it a draft until somebody publishes it." enum:"auto,manual" default:"auto" env:"ROADBED_PUBLISH"`

	DecisionLog string `help:"File, or URL of a service, that each stored verdict is written to in the shape of OPA's decision logs." placeholder:"FILE|URL" env:"ROADBED_DECISION_LOG"`

	CallerReads    int `help:"Reads a second of one person or plugin." default:"50" env:"ROADBED_CALLER_READS"`
	CallerTries    int `help:"Prices and verdicts a second for the forms of one person." default:"20" env:"ROADBED_CALLER_TRIES"`
	CallerAsks     int `help:"Asks, cancels and approvals a second of one person or plugin." default:"20" env:"ROADBED_CALLER_ASKS"`
	CallerAtOnce   int `help:"Requests of one person or plugin that are answered at once." default:"32" env:"ROADBED_CALLER_AT_ONCE"`
	PoolCalls      int `help:"Calls a second of all workers of one pool." default:"500" env:"ROADBED_POOL_CALLS"`
	RequestsAtOnce int `help:"Requests of everybody that are answered at once, and as many of workers; more are answered 503." default:"256" env:"ROADBED_REQUESTS_AT_ONCE"`

	Feed feedConfig `embed:"" prefix:"feed-"`

	Permissions bool `help:"Ask the portal's permission policy as well, which may deny what the rules here allow; needs --signing-key." env:"ROADBED_PERMISSIONS"`

	auth func(*backstage.Authenticator) (httpapi.Authenticator, error) // dev only; nil takes Backstage's word alone

	directory provision.Directory // dev only; nil asks Backstage's catalog
}

// check holds the relations between settings.
func (c *sidecarConfig) check() error {
	switch {
	case c.Lease < 3*time.Second:
		return fmt.Errorf("--lease is %s; it must be 3s or more, for a renewal each third of it", c.Lease)
	case c.Slots < 1:
		return fmt.Errorf("--slots is %d; a pool needs at least one", c.Slots)
	case c.DriftEvery < 0 || c.DriftEvery > 0 && c.DriftEvery < time.Second:
		return fmt.Errorf("--drift-every is %s; it must be 0, for never, or at least a second", c.DriftEvery)
	case c.ApprovalTimeout < c.Lease:
		return fmt.Errorf("--approval-timeout is %s; it must exceed the lease, %s", c.ApprovalTimeout, c.Lease)
	case c.QueueTimeout < c.Lease:
		return fmt.Errorf("--queue-timeout is %s; it must exceed the lease, %s", c.QueueTimeout, c.Lease)
	}
	for flag, n := range map[string]int{
		"caller-reads": c.CallerReads, "caller-tries": c.CallerTries, "caller-asks": c.CallerAsks,
		"caller-at-once": c.CallerAtOnce, "pool-calls": c.PoolCalls, "requests-at-once": c.RequestsAtOnce,
	} {
		if n < 1 {
			return fmt.Errorf("--%s is %d; it must be at least 1, and a large number is as good as no limit", flag, n)
		}
	}
	if c.Permissions && c.SigningKey == "" {
		return errors.New("--permissions needs --signing-key, to ask the portal's policy with")
	}
	return errors.Join(c.Feed.check(), c.PolicyFrom.check(c.Policies))
}

// limits are what the door asks callers to keep; dev's are the defaults.
func (c *sidecarConfig) limits() httpapi.Limits {
	return httpapi.Limits{
		Reads: c.CallerReads, Tries: c.CallerTries, Asks: c.CallerAsks, Workers: c.PoolCalls,
		PerCaller: c.CallerAtOnce, Active: c.RequestsAtOnce,
	}
}

type serveCommand struct {
	sidecarConfig
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	s, err := newSidecar(ctx, c.sidecarConfig, log)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx)
}

// policyInterval is how often a folder of policies is looked at; a change is in
// force after the second look that sees it.
const policyInterval = 2 * time.Second

// sidecar is the service with its loops and doors, wired by hand.
type sidecar struct {
	config sidecarConfig
	log    *slog.Logger
	domain *domain
	store  *postgres.Store
	queue  *queue.Queue
	api    *httpapi.Server
	loops  *control.Control
	meters *httpapi.Metrics
	counts *meters

	traces    *telemetry.Traces
	tracing   *tracing         // nil when nobody wants traces
	feed      *httpapi.Feed    // nil when there is none
	decisions *decisionLog     // nil when there is none
	notifier  *notify.Notifier // nil when nobody is told anything
}

func newSidecar(ctx context.Context, c sidecarConfig, log *slog.Logger) (*sidecar, error) {
	s := &sidecar{config: c, log: log}
	var err error
	if s.traces, err = telemetry.Start(ctx, "roadbed", version, log); err != nil {
		return nil, err
	}
	if s.domain, err = c.load(); err != nil {
		return nil, err
	}
	if err := s.domain.follow(c.Policies, c.PolicyFrom, log); err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	for _, warning := range s.domain.catalog.Warnings() {
		log.Warn("offering has a fault", "fault", warning.String())
	}
	ring, err := keys.Load(c.KeysDir, keys.Sidecar)
	if err != nil {
		return nil, err
	}
	for _, e := range s.domain.environments {
		if _, err := ring.Recipients(e.Pool); err != nil {
			return nil, fmt.Errorf("environment %s uses pool %s: %w", e.Name, e.Pool, err)
		}
	}
	door, err := c.door(log)
	if err != nil {
		return nil, err
	}
	if door.directory == nil {
		log.Warn("approvals cannot be given: there is no --signing-key to ask the catalog with; what needs one is denied")
		s.domain.judge.NoApprovals = provision.NoApprovals
	}
	pools, err := readPoolTokens(c.PoolTokens)
	if err != nil {
		return nil, err
	}
	notifications, err := c.notifications(door.notifier)
	if err != nil {
		return nil, err
	}
	states, err := openBucket(ctx, c.State, log)
	if err != nil {
		return nil, err
	}
	if s.store, err = postgres.Open(c.Database, postgres.Options{Notable: notifications.Notable, Bucket: states}); err != nil {
		return nil, err
	}
	if s.queue, err = queue.Connect(ctx, queue.Config{
		URL: c.NATS, Name: "roadbed-sidecar", KeyFile: c.NATSKey, CAFile: c.NATSCA, OwnsStreams: true, Pools: s.domain.pools(), Log: log,
	}); err != nil {
		s.store.Close()
		return nil, err
	}
	s.meters = httpapi.NewMetrics()
	s.domain.meter(s.meters.Registry())
	if len(notifications.Routes) > 0 {
		s.notifier = notify.New(notify.Settings{
			Config: notifications, Store: s.store, Log: log, Registry: s.meters.Registry(), Portal: door.notifier, Addresses: door.addresses, Link: c.Portal,
		})
		s.store.OnCommit(s.notifier.Hear)
	}
	var kept keptStore = s.store
	if c.DecisionLog != "" {
		if s.decisions, err = openDecisionLog(c.DecisionLog, log, s.meters.Registry()); err != nil {
			s.close()
			return nil, err
		}
		kept = loggedStore{s.store, s.decisions}
	}
	kept = seams.store(kept)
	limits := func() provision.Limits {
		l := s.domain.limits()
		l.Slots = c.Slots
		return l
	}
	service := &provision.Service{
		Catalog: s.domain.served, Judge: s.domain.judge, Authorizer: s.domain.authorizer,
		Store: kept, Keys: ring, StateFiles: terraform.StateFiles{}, Environments: s.domain.environments, Now: time.Now,
		Directory: door.directory, ApprovalTimeout: c.ApprovalTimeout, Calendar: s.domain.calendar,
		Line: s.store, Limits: limits, History: s.store, Publication: s.domain.publication,
	}
	runs := &provision.Runs{Service: service, Lease: c.Lease, DriftEvery: c.DriftEvery}
	s.loops = control.New(control.Config{
		Store: kept, Queue: seams.queue(s.queue), Runs: runs, Ends: service, Campaigns: service, Environments: s.domain.environments,
		Limits: limits, QueueTimeout: c.QueueTimeout, DriftEvery: c.DriftEvery, Log: log, Before: s.mindRestore,
	})
	var tracer trace.Tracer // nil traces nothing
	if s.traces.On() {
		tracer, service.Trace = s.traces.Tracer(), telemetry.Parent
		s.tracing = newTracing(s.store, tracer, log)
	}
	s.counts = newMeters(s.store, s.loops.Loops, s.meters.Registry(), log)
	s.api, err = httpapi.New(httpapi.Config{
		Service: service, Runs: runs, Reader: s.store, Watcher: s.store, Auth: door.auth, Permissions: door.permissions, Pools: pools, KeySet: door.keySet,
		Ready: s.ready, Note: s.domain.note, Log: log, Metrics: s.meters, Tracer: tracer, BaseURL: c.BaseURL, Portal: c.Portal,
		Limits: c.limits(),
	})
	if err != nil {
		s.close()
		return nil, err
	}
	if s.feed, err = s.newFeed(door.refresh); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// ready is nil when the sidecar can take requests: the database answers, no loop
// has stalled, and there are policies to decide by.
func (s *sidecar) ready(ctx context.Context) error {
	return errors.Join(s.domain.ready(), s.store.Ping(ctx), s.loops.Health())
}

func (s *sidecar) close() {
	s.queue.Close()
	s.store.Close()
}

// run serves and loops until ctx ends, then drains.
func (s *sidecar) run(ctx context.Context) error {
	if err := s.publishOfferings(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	if s.decisions != nil {
		defer s.decisions.start()() // after everyone who might tell it something
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.loops.Run(ctx) })
	group.Go(func() error { return s.counts.run(ctx) })
	group.Go(func() error { return s.followVersions(ctx) })
	if s.tracing != nil {
		group.Go(func() error { return s.tracing.run(ctx) })
	}
	if s.notifier != nil {
		group.Go(func() error { return s.notifier.Run(ctx) })
	}
	if s.domain.watch != nil {
		group.Go(func() error { return s.domain.watch(ctx) })
	}
	group.Go(func() error { return serveHTTP(ctx, listener, s.api.HTTPServer(), s.api.Drain) })
	if s.config.Metrics != "" {
		metrics, err := net.Listen("tcp", s.config.Metrics)
		if err != nil {
			return fmt.Errorf("listen for metrics: %w", err)
		}
		group.Go(func() error { return serveHTTP(ctx, metrics, s.meters.HTTPServer(), func() {}) })
	}
	if err := s.serveFeed(ctx, group); err != nil {
		return err
	}
	s.log.Info("sidecar serves", "listen", listener.Addr().String())
	err = group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if stopped := s.traces.Stop(last); stopped != nil {
		s.log.Warn("last traces not sent", "err", stopped)
	}
	return err
}

// publishOfferings waits for the database: a sidecar that starts before it is
// no fault. A schema that lacks migrations is one: serve never migrates.
func (s *sidecar) publishOfferings(ctx context.Context) error {
	for {
		err := postgres.CheckSchema(ctx, s.config.Database)
		if err == nil {
			err = s.domain.publish(ctx, s.store)
		}
		if err == nil {
			err = s.makeVersionsKnown(ctx)
		}
		if provision.KindOf(err) != provision.Unavailable {
			return err
		}
		s.log.Warn("database is away; trying again", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// door is how Backstage and the sidecar know each other.
type door struct {
	auth        httpapi.Authenticator
	keySet      []byte                              // nil when we sign nothing
	directory   provision.Directory                 // nil when nobody can be asked who is in a group
	notifier    notify.Portal                       // nil when we sign nothing
	refresh     func(context.Context, string) error // has the catalog read a location again; nil when we sign nothing
	addresses   notify.Addresses                    // likewise
	permissions httpapi.Permissions                 // nil when the portal's policy is not asked
}

// door is Backstage's tokens and, when we sign, our own key set and the catalog.
func (c sidecarConfig) door(log *slog.Logger) (door, error) {
	var endpoints []backstage.Endpoint
	for plugin, target := range c.Endpoints {
		endpoints = append(endpoints, backstage.Endpoint{Target: target, Plugins: []string{plugin}})
	}
	discovery, err := backstage.NewDiscovery(c.Backstage, endpoints)
	if err != nil {
		return door{}, err
	}
	authenticator, err := backstage.New(backstage.Config{Plugin: "roadbed", Discovery: discovery, Algorithms: c.Algorithms, Log: log})
	if err != nil {
		return door{}, err
	}
	d := door{auth: authenticator, directory: c.directory}
	if c.SigningKey != "" {
		key, err := backstage.LoadKey(c.SigningKey)
		if err != nil {
			return door{}, err
		}
		var others []*ecdsa.PublicKey
		for _, file := range c.Published {
			public, err := backstage.LoadPublicKey(file)
			if err != nil {
				return door{}, err
			}
			others = append(others, public)
		}
		signer, err := backstage.NewSigner("roadbed", key, others...)
		if err != nil {
			return door{}, err
		}
		d.keySet, d.notifier = signer.KeySet(), backstage.NewNotifier(discovery, signer)
		d.refresh = backstage.NewRefresher(discovery, signer).Refresh
		if c.Permissions {
			d.permissions = backstage.NewPermissions(discovery, signer)
		}
		catalog := backstage.NewDirectory(discovery, signer)
		if d.addresses = catalog; d.directory == nil {
			d.directory = catalog
		}
	}
	if c.auth != nil {
		if d.auth, err = c.auth(authenticator); err != nil {
			return door{}, err
		}
	}
	d.auth, err = c.pipelines(d.auth, log)
	return d, err
}

// notifications says whom to tell of what: what the file says, else the portal's
// users, and nobody where there is no way to tell them.
func (c sidecarConfig) notifications(portal notify.Portal) (notify.Config, error) {
	switch {
	case c.Notifications != "":
		text, err := os.ReadFile(c.Notifications)
		if err != nil {
			return notify.Config{}, fmt.Errorf("read notifications: %w", err)
		}
		return notify.ParseConfig(text)
	case portal != nil:
		return notify.Default(), nil
	}
	return notify.Config{}, nil
}

// readPoolTokens answers pools by the digest of their token.
func readPoolTokens(files map[string]string) (map[string]string, error) {
	pools := map[string]string{}
	for pool, file := range files {
		token, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read token of pool %s: %w", pool, err)
		}
		texts := strings.Fields(string(token)) // the next one beside the present one, while workers change over
		if len(texts) == 0 {
			return nil, fmt.Errorf("the file %s holds no token of pool %s", file, pool)
		}
		for _, text := range texts {
			if len(text) < 32 {
				return nil, fmt.Errorf("a token of pool %s in %s is shorter than 32 characters", pool, file)
			}
			pools[httpapi.PoolTokenDigest(text)] = pool
		}
	}
	return pools, nil
}

// serveHTTP serves until ctx ends, then drains for at most 25 s.
func serveHTTP(ctx context.Context, l net.Listener, server *http.Server, drain func()) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain()
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	err := server.Serve(l)
	if stop() { // it was not asked to stop
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return <-stopped
}
