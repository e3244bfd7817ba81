package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"
	"go.opentelemetry.io/otel/trace"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Authenticator tells who sent an Authorization header. It answers
// Unauthenticated for a token that is not good, and Unavailable when that
// cannot be found out now.
type Authenticator interface {
	Authenticate(ctx context.Context, authorization string) (provision.Principal, error)
}

// Reader is what is read past the service, after the service has allowed it.
type Reader interface {
	EventsAfter(ctx context.Context, subjectID uuid.UUID, sequence int64, limit int) ([]provision.Event, error)
	LogAfter(ctx context.Context, requestID uuid.UUID, after int64, limit int) ([]provision.LogEntry, error)
	Changes(ctx context.Context, cursor string, wait time.Duration) (provision.InstanceChanges, error)
	Snapshot(ctx context.Context) (provision.InstanceChanges, error)
	Bundle(ctx context.Context, digest string) (provision.Offering, []byte, error)
}

// Watcher wakes streams. It is a hint: streams look once a second anyway.
type Watcher interface {
	Watch(subjectID uuid.UUID) (woken <-chan struct{}, stop func())
}

// Config is what a Server needs.
type Config struct {
	Service     *provision.Service
	Runs        *provision.Runs
	Reader      Reader
	Watcher     Watcher // nil: streams only look once a second
	Auth        Authenticator
	Permissions Permissions                 // nil: the portal's policy is not asked
	Pools       map[string]string           // hex SHA-256 of a pool's token to the pool's name
	KeySet      []byte                      // own public keys as JSON; nil when Roadbed signs nothing
	Ready       func(context.Context) error // nil error: the service can take requests
	Note        func() string               // what to know of a service that is ready, "" for nothing; may be nil
	Log         *slog.Logger
	Metrics     *Metrics
	Tracer      trace.Tracer // nil traces nothing
	BaseURL     string       // where others reach the API, as in https://host/api/roadbed
	Portal      string       // where people reach Backstage, as in https://host; "" leaves links out

	Limits Limits           // the zero value has every default
	Beat   time.Duration    // between comments on a stream; 0 is 15 s
	Poll   time.Duration    // between looks of a stream; 0 is 1 s
	Now    func() time.Time // nil is time.Now
}

// Base is the path of the API on its server.
const Base = "/api/roadbed"

// Server answers the API. It may be used from many goroutines.
type Server struct {
	Config
	pools    []pool
	gate     *gate
	streams  streams
	actions  json.RawMessage // the list of actions, as it is answered
	draining chan struct{}
	drain    sync.Once
	handler  http.Handler

	slots, workerSlots, bulkySlots slots
}

// New is a Server. A base URL or a pool's digest that makes no sense is Invalid.
func New(c Config) (*Server, error) {
	if c.Beat == 0 {
		c.Beat = 15 * time.Second
	}
	if c.Poll == 0 {
		c.Poll = time.Second
	}
	c.Limits = c.Limits.orDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	for _, address := range []*string{&c.BaseURL, &c.Portal} {
		*address = strings.TrimRight(*address, "/")
		if u, err := url.Parse(*address); *address != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return nil, provision.Errorf(provision.Invalid, "%q is not a URL; give one like https://portal.example/api/roadbed", *address)
		}
	}
	if c.BaseURL == "" {
		return nil, provision.Errorf(provision.Invalid, "the API needs a base URL, such as https://portal.example/api/roadbed")
	}
	pools, err := readPools(c.Pools)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config: c, pools: pools, gate: newGate(c.Limits, c.Now), draining: make(chan struct{}),
		streams: streams{perPrincipal: map[string]int{}},
		slots:   make(slots, c.Limits.Active), workerSlots: make(slots, c.Limits.Active), bulkySlots: make(slots, c.Limits.Bulky),
	}
	if s.actions, err = actionList(); err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	s.handler = s.outermost(s.traced(s.routes()))
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain ends every stream and turns readiness off, so that a server's Shutdown
// need not wait for readers. It returns at once and may be called twice.
func (s *Server) Drain() { s.drain.Do(func() { close(s.draining) }) }

// HTTPServer is a server for this API, with the time and size limits that a slow
// or hostile caller meets.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second, // streams and large bodies set their own
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    80 << 10, // a token of 64 KiB and the rest
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) routes() *mux.Router {
	root := mux.NewRouter().SkipClean(true).UseEncodedPath()
	root.NotFoundHandler = s.public("unmatched", s.noRoute)
	root.MethodNotAllowedHandler = s.public("unmatched", noMethod(root))

	open := func(method, path string, h handler) {
		root.Handle(path, s.public(method+" "+path, h)).Methods(method)
	}
	open(http.MethodGet, "/.backstage/health/v1/liveness", s.liveness)
	open(http.MethodGet, "/.backstage/health/v1/readiness", s.readiness)
	open(http.MethodGet, Base+"/.backstage/auth/v1/jwks.json", s.keySet)

	private := func(method, path string, h asked) {
		root.Handle(Base+path, s.private(method, path, h)).Methods(method)
	}
	private(http.MethodGet, "/me", s.me)
	private(http.MethodGet, "/environments", s.listEnvironments)
	private(http.MethodGet, "/budgets", s.listBudgets)
	private(http.MethodGet, "/pauses", s.listPauses)
	private(http.MethodPost, "/pauses", s.beginPause)
	private(http.MethodDelete, "/pauses/{id}", s.endPause)
	private(http.MethodGet, "/exemptions", s.listExemptions)
	private(http.MethodGet, "/calendar", s.listCalendar)
	private(http.MethodGet, "/offerings", s.listOfferings)
	private(http.MethodGet, "/offerings/{id}", s.getOffering)
	private(http.MethodGet, "/campaigns", s.listCampaigns)
	private(http.MethodPost, "/campaigns", s.makeCampaign)
	private(http.MethodGet, "/campaigns/{id}", s.getCampaign)
	private(http.MethodPost, "/campaigns/{id}/groups/{shape}/approve", s.approveGroup)
	private(http.MethodPost, "/campaigns/{id}/start", s.moveCampaign(s.startCampaign))
	private(http.MethodPost, "/campaigns/{id}/halt", s.moveCampaign(s.Service.HaltCampaign))
	private(http.MethodPost, "/campaigns/{id}/resume", s.moveCampaign(s.Service.ResumeCampaign))
	private(http.MethodPost, "/campaigns/{id}/stop", s.moveCampaign(s.Service.StopCampaign))
	private(http.MethodPost, "/campaigns/{id}/opt-out", s.optOut)
	private(http.MethodGet, "/offerings/{id}/versions", s.listVersions)
	private(http.MethodPost, "/offerings/{id}/versions/{version}/{move:publish|deprecate|withdraw}", s.moveVersion)
	private(http.MethodPost, "/offerings/{id}/estimate", s.estimate)
	private(http.MethodPost, "/offerings/{id}/evaluate", s.evaluate)
	private(http.MethodGet, "/requests", s.listRequests)
	private(http.MethodPost, "/requests", s.submitRequest)
	private(http.MethodGet, "/requests/{id}", s.getRequest)
	private(http.MethodPost, "/requests/{id}/cancel", s.cancelRequest)
	private(http.MethodPost, "/requests/{id}/retry", s.retryRequest)
	private(http.MethodPost, "/requests/{id}/approve", s.approveRequest)
	private(http.MethodPost, "/requests/{id}/reject", s.rejectRequest)
	private(http.MethodGet, "/requests/{id}/recovery", s.getRecovery)
	private(http.MethodPost, "/requests/{id}/recovery/attest", s.attestDead)
	private(http.MethodPost, "/requests/{id}/recovery/recover", s.recoverRequest)
	private(http.MethodPost, "/requests/{id}/recovery/conclude", s.concludeRequest)
	private(http.MethodPost, "/instances/{id}/journal", s.noteResource)
	private(http.MethodPost, "/instances/{id}/state/remove", s.removeFromState)
	private(http.MethodGet, "/approvals", s.listApprovals)
	private(http.MethodGet, "/requests/{id}/events", s.requestEvents)
	private(http.MethodGet, "/requests/{id}/logs", s.requestLogs)
	private(http.MethodGet, "/instances", s.listInstances)
	private(http.MethodGet, "/instances/{id}", s.getInstance)
	private(http.MethodPost, "/instances/{id}/evaluate", s.evaluateChange)
	private(http.MethodPost, "/instances/{id}/update", s.updateInstance)
	private(http.MethodPost, "/instances/{id}/upgrade", s.upgradeInstance)
	private(http.MethodPost, "/instances/{id}/rotate", s.rotateCredentials)
	private(http.MethodPost, "/instances/{id}/extend", s.extendInstance)
	private(http.MethodPost, "/instances/{id}/hand-over", s.handOver)
	private(http.MethodPost, "/instances/{id}/destroy", s.destroyInstance)
	private(http.MethodPost, "/instances/{id}/credentials", s.openCredentials)
	private(http.MethodPost, "/imports", s.importInstances)
	private(http.MethodGet, "/previews", s.listPreviews)
	private(http.MethodPost, "/previews", s.makePreview)
	private(http.MethodGet, "/previews/{id}", s.getPreview)
	private(http.MethodDelete, "/previews/{id}", s.destroyPreview)
	private(http.MethodPost, "/previews/{id}/extend", s.extendPreview)
	private(http.MethodGet, "/measures", s.getMeasures)
	private(http.MethodPost, "/measures/tickets", s.importTickets)
	private(http.MethodGet, "/instances/{id}/drift", s.getDrift)
	private(http.MethodPost, "/instances/{id}/drift/check", s.checkDrift)
	private(http.MethodPost, "/instances/{id}/drift/revert", s.revertDrift)
	private(http.MethodPost, "/instances/{id}/drift/adopt", s.adoptDrift)
	private(http.MethodPost, "/instances/{id}/drift/suppress", s.suppressDrift)
	private(http.MethodGet, "/drift", s.listDrift)
	private(http.MethodGet, "/instances/{id}/activity", s.getActivity)
	private(http.MethodPost, "/instances/{id}/unused/{answer:snooze|needed}", s.answerUnused)
	private(http.MethodGet, "/unused", s.listUnused)
	private(http.MethodGet, "/entities", s.listEntities)
	private(http.MethodGet, "/entities/changes", s.entityChanges)

	s.foundingPaths(root)
	s.actionPaths(root)
	s.permissionPath(root)

	worker := func(method, path string, h worked) {
		root.Handle(Base+path, s.worker(method+" "+path, h)).Methods(method)
	}
	worker(http.MethodGet, "/worker/runs/{id}", s.viewRun)
	worker(http.MethodPost, "/worker/runs/{id}/claim", s.claimRun)
	worker(http.MethodPost, "/worker/runs/{id}/renew", s.renewRun)
	worker(http.MethodPost, "/worker/runs/{id}/release", s.releaseRun)
	worker(http.MethodPost, "/worker/runs/{id}/plan", s.judgePlan)
	worker(http.MethodGet, "/worker/runs/{id}/plan", s.getPlan)
	worker(http.MethodPut, "/worker/runs/{id}/plan", s.keepPlan)
	worker(http.MethodGet, "/worker/runs/{id}/state", s.getState)
	worker(http.MethodPut, "/worker/runs/{id}/state", s.pushState)
	worker(http.MethodPost, "/worker/checks", s.claimCheck)
	worker(http.MethodPut, "/worker/checks/{id}", s.finishCheck)
	worker(http.MethodGet, "/worker/checks/{id}/state", s.getCheckedState)
	worker(http.MethodGet, "/worker/bundles/{digest}", s.getBundle)
	return root
}
