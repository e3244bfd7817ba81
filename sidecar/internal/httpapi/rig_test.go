package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	ann = "user:default/ann" // in group:default/payments
	bob = "user:default/bob" // in group:default/search
	pat = "user:default/pat" // in the platform team
)

var teams = map[string][]string{
	ann: {"group:default/payments"}, bob: {"group:default/search"}, pat: {"group:default/platform-team"},
}

const poolToken, otherPoolToken = "pool-token-of-local", "pool-token-of-aws"

// rules are the shipped offerings, policies and prices, compiled once.
var rules = sync.OnceValues(func() (*shipped, error) {
	bundle, err := policy.Load(policies.FS)
	if err != nil {
		return nil, err
	}
	book, err := cost.ParseBook(bundle.PricesYAML())
	if err != nil {
		return nil, err
	}
	prices := cost.New(book)
	catalog, err := offering.Open(templates.FS, prices)
	if err != nil {
		return nil, err
	}
	return &shipped{bundle, prices, catalog}, nil
})

type shipped struct {
	bundle  *policy.Bundle
	prices  *cost.Pricer
	catalog *offering.Catalog
}

// rig is the API with everything real behind it: Postgres, offerings, policies,
// prices, keys and tokens. Every answer is held against openapi.yaml.
type rig struct {
	t        testing.TB
	store    *postgres.Store
	service  *provision.Service
	runs     *provision.Runs
	server   *httpapi.Server
	http     *httptest.Server
	identity *backstage.DevIdentity
	contract *contract
	log      *logBuffer
}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newRig(t testing.TB, edit func(*httpapi.Config)) *rig {
	t.Helper()
	shipped, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(testkit.Database(t), postgres.Options{MaxConnections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	dir := t.TempDir()
	if err := keys.Create(dir, "local"); err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Load(dir, keys.Sidecar)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: store, log: &logBuffer{}, contract: newContract(t)}
	r.service = &provision.Service{
		Catalog: shipped.catalog, Judge: provision.Judge{Prices: shipped.prices, Rules: shipped.bundle}, Authorizer: shipped.bundle,
		Store: store, Keys: ring, StateFiles: terraform.StateFiles{}, Now: time.Now,
		Environments: map[string]provision.Environment{
			"dev":     {Name: "dev", Title: "Development", Implementation: "local", Pool: "local", Region: "local"},
			"staging": {Name: "staging", Title: "Staging", Implementation: "local", Pool: "local", Region: "local"},
		},
	}
	r.runs = &provision.Runs{Service: r.service, Lease: time.Minute}
	for _, o := range shipped.catalog.Offerings() {
		files, err := shipped.catalog.Bundle(o.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.PutBundle(t.Context(), o, files); err != nil {
			t.Fatal(err)
		}
	}
	key, err := backstage.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if r.identity, err = backstage.NewDevIdentity(key, nil); err != nil {
		t.Fatal(err)
	}
	signer, err := backstage.NewSigner("roadbed", key)
	if err != nil {
		t.Fatal(err)
	}
	config := httpapi.Config{
		Service: r.service, Runs: r.runs, Reader: store, Watcher: store, Auth: r.identity, KeySet: signer.KeySet(),
		Pools:   map[string]string{httpapi.PoolTokenDigest(poolToken): "local", httpapi.PoolTokenDigest(otherPoolToken): "aws"},
		Ready:   func(context.Context) error { return nil },
		Log:     slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		BaseURL: "https://portal.example/api/roadbed", Portal: "https://portal.example", Poll: 20 * time.Millisecond,
	}
	if edit != nil {
		edit(&config)
	}
	if r.server, err = httpapi.New(config); err != nil {
		t.Fatal(err)
	}
	r.http = httptest.NewUnstartedServer(nil)
	r.http.Config = r.server.HTTPServer()
	r.http.Config.Handler = r.contract.wrap(r.server)
	r.http.Start()
	t.Cleanup(func() {
		r.server.Drain()
		r.http.Close()
	})
	return r
}

func (r *rig) token(subject string) string {
	r.t.Helper()
	token, err := r.identity.Token(subject, teams[subject], time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) url() string { return r.http.URL + httpapi.Base }

// as is a client for subject of the API.
func (r *rig) as(subject string) *client.Client {
	r.t.Helper()
	c, err := client.New(r.url(), r.token(subject))
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) worker(token string) *client.Worker {
	r.t.Helper()
	w, err := client.NewWorker(r.url(), token, "worker-1")
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// answer is one raw answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// raw sends a request as it is given.
func (r *rig) raw(method, path string, header http.Header, body string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.http.URL+path, bytes.NewBufferString(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// jsonBy are the headers of a JSON request by subject.
func (r *rig) jsonBy(subject string, more ...string) http.Header {
	h := http.Header{"Authorization": {"Bearer " + r.token(subject)}, "Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func database(name string) api.Submission {
	return api.Submission{Offering: "postgres-database", Parameters: provision.Parameters{
		"database_name": name, "environment": "dev", "team_owner": "payments", "cost_center": "CC-1234",
	}}
}

func (r *rig) submit(name string) api.Request {
	r.t.Helper()
	request, err := r.as(ann).Submit(r.t.Context(), "key-"+name, database(name))
	if err != nil {
		r.t.Fatalf("submit %s: %v", name, err)
	}
	return request
}

// dispatch gives a request its run, as the dispatcher does.
func (r *rig) dispatch(id uuid.UUID) uuid.UUID {
	r.t.Helper()
	record, err := r.store.Change(r.t.Context(), id, func(record *provision.Record) error {
		verdict, err := r.runs.JudgeQueued(r.t.Context(), record)
		if err != nil {
			return err
		}
		return record.Dispatch("local", verdict)
	})
	if err != nil {
		r.t.Fatalf("dispatch %s: %v", id, err)
	}
	return record.Run.ID
}

// report folds a worker's word into the run, as the recorder does.
func (r *rig) report(run uuid.UUID, report provision.Report) {
	r.t.Helper()
	_, err := r.store.ChangeRun(r.t.Context(), run, func(record *provision.Record) error {
		report.RunID, report.Fence, report.Sequence = run, record.Run.Fence, record.Run.ReportSequence+1
		_, err := record.Take(report)
		return err
	})
	if err != nil {
		r.t.Fatalf("report on run %s: %v", run, err)
	}
}

// applying is a database whose run has begun to apply.
func (r *rig) applying(name string) (api.Request, provision.Claim) {
	r.t.Helper()
	request := r.submit(name)
	worker := r.worker(poolToken)
	claim, err := worker.Claim(r.t.Context(), r.dispatch(request.Id))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := worker.Plan(r.t.Context(), claim.RunID, claim.Token, nil); err != nil {
		r.t.Fatal(err)
	}
	return request, claim
}

// ready is a database that exists, with a state that holds a secret.
func (r *rig) ready(name string) api.Request {
	r.t.Helper()
	request, claim := r.applying(name)
	state := []byte(`{"outputs":{"credentials":{"sensitive":true,"value":{"username":"orders","password":"` + secret + `","port":5432}},"endpoint":{"value":"db.internal"}}}`)
	sealed, err := keys.SealFor(claim.StateRecipients, state)
	if err != nil {
		r.t.Fatal(err)
	}
	head, err := r.worker(poolToken).PushState(r.t.Context(), claim.Token, provision.StateVersion{
		RunID: claim.RunID, Fence: claim.Fence, Serial: 3, Lineage: "lineage-1", Sealed: sealed,
	})
	if err != nil || !head {
		r.t.Fatalf("push state: head %v, %v", head, err)
	}
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{
		Result: provision.ResultSucceeded, Applied: true, Outputs: map[string]any{"endpoint": "db.internal", "monitoring_dashboard": "https://grafana.example/d/orders"},
	}})
	return request
}

// secret is planted where only Credentials may show it.
const secret = "canary-7f3a9c"

// kindOf fails the test unless err has the kind; it returns the shown error.
func kindOf(t testing.TB, err error, want provision.Kind) *provision.Error {
	t.Helper()
	if err == nil || provision.KindOf(err) != want {
		t.Fatalf("error = %v (%s), want %s", err, provision.KindOf(err), want)
	}
	var shown *provision.Error
	errors.As(err, &shown)
	return shown
}
