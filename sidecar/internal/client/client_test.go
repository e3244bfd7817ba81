package client

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestCallsAreAsTheContractSays relies on the double, which holds every call and
// its answer to openapi.yaml; here is what the document cannot say.
func TestCallsAreAsTheContractSays(t *testing.T) {
	t.Parallel()
	id := provision.NewID()
	owner, cursor, limit, mine := "payments", "next page", 7, true
	states := []provision.State{provision.Queued, provision.Applying}
	estimate := api.Estimate{Recommendations: []string{}, MonthlyCost: 85500, MonthlyTotal: 85500, AnnualCost: 1026000, AnnualTotal: 1026000,
		Items: []provision.CostItem{{Name: "compute", MonthlyCost: 85500}}, Breakdown: map[string]api.Money{"compute": 85500}, PricesDigest: "sha256:1", Unpriced: []provision.Unpriced{}}
	p := provision.Parameters{"database_name": "orders", "storage_gb": json.Number("100")}
	tests := map[string]struct {
		call      func(context.Context, *Client) (any, error)
		operation string
		answer    answer
		want      any
		query     string
		body      string
		key       string
	}{
		"who I am": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Me(ctx) }, operation: "me",
			answer: answer{body: api.Me{Subject: "user:default/ann", Groups: []string{"group:default/payments"}}},
			want:   api.Me{Subject: "user:default/ann", Groups: []string{"group:default/payments"}},
		},
		"where things are made": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Environments(ctx) }, operation: "listEnvironments",
			answer: answer{body: api.EnvironmentList{Items: []api.Environment{{Name: "dev", Title: "Development"}}}},
			want:   []api.Environment{{Name: "dev", Title: "Development"}},
		},
		"how the platform fares": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Measures(ctx, 7) }, operation: "getMeasures", query: "days=7",
			answer: answer{body: api.Measures{Days: 7, From: noon, Until: noon, Cards: []api.Measure{}, More: []api.Measure{}}},
			want:   api.Measures{Days: 7, From: noon, Until: noon, Cards: []api.Measure{}, More: []api.Measure{}},
		},
		"how many tickets there were": {
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.ImportTickets(ctx, []api.TicketCount{{Date: "2026-03-10", Count: 3}})
			}, operation: "importTickets", body: `{"items":[{"count":3,"date":"2026-03-10"}]}`,
			answer: answer{body: api.TicketsKept{Days: 1, Tickets: 3}}, want: api.TicketsKept{Days: 1, Tickets: 3},
		},
		"budgets": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Budgets(ctx) }, operation: "listBudgets",
			answer: answer{body: api.BudgetList{Items: []provision.BudgetBalance{}}}, want: []provision.BudgetBalance{},
		},
		"pauses": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Pauses(ctx) }, operation: "listPauses",
			answer: answer{body: api.PauseList{Items: []provision.Pause{}}}, want: []provision.Pause{},
		},
		"the end of a pause": {
			call:      func(ctx context.Context, c *Client) (any, error) { return nil, c.EndPause(ctx, id) },
			operation: "endPause", answer: answer{status: http.StatusNoContent},
		},
		"a price": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Estimate(ctx, "postgres-database", p) }, operation: "estimate",
			answer: answer{body: estimate}, want: estimate, body: `{"parameters":{"database_name":"orders","storage_gb":100}}`,
		},
		"a verdict that denies is no error": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Evaluate(ctx, "postgres-database", p) }, operation: "evaluate",
			answer: answer{body: api.Verdict{Outcome: provision.OutcomeDeny, Findings: []provision.Finding{{Rule: "cost_limit", Level: provision.LevelDeny}}, Recommendations: []string{}, Budgets: []provision.BudgetLeft{}, Holds: []provision.Hold{}, At: noon}},
			want:   api.Verdict{Outcome: provision.OutcomeDeny, Findings: []provision.Finding{{Rule: "cost_limit", Level: provision.LevelDeny}}, Recommendations: []string{}, Budgets: []provision.BudgetLeft{}, Holds: []provision.Hold{}, At: noon},
			body:   `{"parameters":{"database_name":"orders","storage_gb":100}}`,
		},
		"an ask carries its key": {
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Submit(ctx, "my key", api.Submission{Offering: "postgres-database", Parameters: p})
			},
			operation: "submitRequest", answer: answer{status: http.StatusAccepted, body: api.RequestAnswer{Request: requestOf(id, provision.Queued)}},
			want: requestOf(id, provision.Queued), body: `{"offering":"postgres-database","parameters":{"database_name":"orders","storage_gb":100}}`, key: "my key",
		},
		"one request": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Request(ctx, id) }, operation: "getRequest",
			answer: answer{body: api.RequestAnswer{Request: requestOf(id, provision.Applying)}}, want: requestOf(id, provision.Applying),
		},
		"a page of requests": {
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Requests(ctx, api.ListRequestsParams{Mine: &mine, State: &states, Instance: &id, Owner: &owner, Cursor: &cursor, Limit: &limit})
			},
			operation: "listRequests", answer: answer{body: api.RequestList{Items: []api.Request{}, Next: "more"}}, want: api.RequestList{Items: []api.Request{}, Next: "more"},
			query: "cursor=next+page&instance=" + id.String() + "&limit=7&mine=true&owner=payments&state=queued%2Capplying",
		},
		"a cancel": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Cancel(ctx, id, "wrong region") }, operation: "cancelRequest",
			answer: answer{status: http.StatusAccepted, body: api.RequestAnswer{Request: requestOf(id, provision.Cancelled)}}, want: requestOf(id, provision.Cancelled), body: `{"reason":"wrong region"}`,
		},
		"events so far": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Events(ctx, id, 4) }, operation: "requestEvents",
			answer: answer{body: api.EventList{Items: []api.Event{event(id, 5, 5)}}}, want: []api.Event{event(id, 5, 5)}, query: "after=4",
		},
		"log lines": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Logs(ctx, id, 4) }, operation: "requestLogs",
			answer: answer{body: api.LogList{Items: []provision.LogEntry{{Position: 5, At: noon, Text: "Creating..."}}}}, want: []provision.LogEntry{{Position: 5, At: noon, Text: "Creating..."}}, query: "after=4",
		},
		"a page of instances": {
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.Instances(ctx, api.ListInstancesParams{Environment: &owner})
			},
			operation: "listInstances", answer: answer{body: api.InstanceList{Items: []api.Instance{instanceOf(id)}}}, want: api.InstanceList{Items: []api.Instance{instanceOf(id)}},
			query: "environment=payments",
		},
		"one instance": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Instance(ctx, id) }, operation: "getInstance",
			answer: answer{body: api.InstanceAnswer{Instance: instanceOf(id), Requests: []api.Request{}}}, want: api.InstanceAnswer{Instance: instanceOf(id), Requests: []api.Request{}},
		},
		"an end": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Destroy(ctx, "my key", id) }, operation: "destroyInstance",
			answer: answer{status: http.StatusAccepted, body: api.RequestAnswer{Request: requestOf(id, provision.Queued)}}, want: requestOf(id, provision.Queued), body: `{}`, key: "my key",
		},
		"credentials keep their numbers": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Credentials(ctx, id) }, operation: "openCredentials",
			answer: answer{body: api.CredentialsAnswer{Credentials: map[string]any{"port": 5432}}}, want: map[string]any{"port": json.Number("5432")},
		},
		"every entity": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.Entities(ctx) }, operation: "listEntities",
			answer: answer{body: api.EntitySnapshot{Entities: []api.Entity{}, Cursor: "c", Complete: true}}, want: api.EntitySnapshot{Entities: []api.Entity{}, Cursor: "c", Complete: true},
		},
		"changed entities": {
			call: func(ctx context.Context, c *Client) (any, error) { return c.EntityChanges(ctx, "c", 3*time.Second) }, operation: "entityChanges",
			answer: answer{body: api.EntityChanges{Added: []api.Entity{}, Removed: []string{"resource:dev/a.b"}, Cursor: "d"}},
			want:   api.EntityChanges{Added: []api.Entity{}, Removed: []string{"resource:dev/a.b"}, Cursor: "d"}, query: "after=c&wait=3",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, func(asked) answer { return tt.answer })
			got, err := tt.call(t.Context(), d.client())
			if err != nil {
				t.Fatalf("%s: %v", tt.operation, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			calls := d.calls()
			if len(calls) != 1 {
				t.Fatalf("it called %d times, want once", len(calls))
			}
			was := calls[0]
			want := asked{Operation: tt.operation, Number: 1, Header: was.Header, Query: tt.query, Body: tt.body}
			if diff := cmp.Diff(want, was); diff != "" {
				t.Errorf("call (-want +got):\n%s", diff)
			}
			for header, want := range map[string]string{"Authorization": "Bearer a-token", "Idempotency-Key": tt.key} {
				if got := was.Header.Get(header); got != want {
					t.Errorf("header %s is %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	denied := refusalBody(403, "NotAllowedError", "too dear")
	body := denied.body.(api.ErrorBody)
	body.Error.Findings = []provision.Finding{{Rule: "cost_limit", Level: provision.LevelDeny, Message: "too dear", WayOut: "Choose a smaller one."}}
	body.Error.RequestId = "the-request"
	denied.body = body
	invalid := refusalBody(400, "InputError", "two faults")
	faulty := invalid.body.(api.ErrorBody)
	faulty.Error.Details = []provision.Fault{{Path: "/storage_gb", Message: "too small"}}
	invalid.body = faulty
	busy := refusalBody(503, "ServiceUnavailableError", "busy")
	busy.header = map[string]string{"Retry-After": "5"}
	page := func(status int) answer {
		return answer{status: status, header: map[string]string{"Content-Type": "text/html"}, body: "<h1>Sorry</h1>", loose: true}
	}
	tests := map[string]struct {
		answer answer
		want   provision.Error
	}{
		"input":                            {invalid, provision.Error{Kind: provision.Invalid, Message: "two faults", Details: faulty.Error.Details}},
		"no token":                         {refusalBody(401, "AuthenticationError", "who?"), provision.Error{Kind: provision.Unauthenticated, Message: "who?"}},
		"denied with every finding":        {denied, provision.Error{Kind: provision.Denied, Message: "too dear", Findings: body.Error.Findings, RequestID: "the-request"}},
		"not there":                        {refusalBody(404, "NotFoundError", "no"), provision.Error{Kind: provision.NotFound, Message: "no"}},
		"conflict":                         {refusalBody(409, "ConflictError", "taken"), provision.Error{Kind: provision.Conflict, Message: "taken"}},
		"gone":                             {refusalBody(410, "GoneError", "old"), provision.Error{Kind: provision.Gone, Message: "old"}},
		"busy, with when to ask again":     {busy, provision.Error{Kind: provision.Unavailable, Message: "busy", RetryAfter: 5 * time.Second}},
		"a fault of the sidecar":           {refusalBody(500, "Error", "An internal error occurred logId=1"), provision.Error{Message: "An internal error occurred logId=1"}},
		"a proxy whose sidecar is away":    {page(502), provision.Error{Kind: provision.Unavailable, Message: `HOST answered "502 Bad Gateway", and not as Roadbed's API does`}},
		"a proxy's 404 says nothing of us": {page(404), provision.Error{Message: `HOST answered "404 Not Found", and not as Roadbed's API does`}},
		"a proxy's 409 says nothing of us": {page(409), provision.Error{Message: `HOST answered "409 Conflict", and not as Roadbed's API does`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, func(asked) answer { return tt.answer })
			_, err := d.client().Request(t.Context(), provision.NewID())
			var got *provision.Error
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, want a *provision.Error", err)
			}
			want := tt.want
			if len(want.Message) > 4 && want.Message[:4] == "HOST" {
				want.Message = d.server.Listener.Addr().String() + want.Message[4:]
			}
			same := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".cause" }, cmp.Ignore())
			if diff := cmp.Diff(want, *got, same, cmp.AllowUnexported(provision.Error{})); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsRepeated(t *testing.T) {
	t.Parallel()
	id := provision.NewID()
	accepted := answer{status: http.StatusAccepted, body: api.RequestAnswer{Request: requestOf(id, provision.Queued)}}
	busy := refusalBody(503, "ServiceUnavailableError", "busy")
	tests := map[string]struct {
		call  func(context.Context, *Client) error
		first answer
		then  answer
		calls int
		kind  provision.Kind // of the error; Gone is none
	}{
		"a read is repeated while the sidecar is busy": {
			func(ctx context.Context, c *Client) error { _, err := c.Request(ctx, id); return err },
			busy, answer{body: api.RequestAnswer{Request: requestOf(id, provision.Queued)}}, 2, provision.Gone,
		},
		"an ask with a key is repeated": {
			func(ctx context.Context, c *Client) error {
				_, err := c.Submit(ctx, "k", api.Submission{Offering: "x", Parameters: provision.Parameters{}})
				return err
			},
			busy, accepted, 2, provision.Gone,
		},
		"an ask whose answer was cut off is repeated": {
			func(ctx context.Context, c *Client) error {
				_, err := c.Submit(ctx, "k", api.Submission{Offering: "x", Parameters: provision.Parameters{}})
				return err
			},
			answer{status: 202, body: "", cut: true, loose: true}, accepted, 2, provision.Gone,
		},
		"credentials are opened once": {
			func(ctx context.Context, c *Client) error { _, err := c.Credentials(ctx, id); return err },
			busy, answer{body: api.CredentialsAnswer{Credentials: map[string]any{}}}, 1, provision.Unavailable,
		},
		"a refusal is not repeated": {
			func(ctx context.Context, c *Client) error { _, err := c.Request(ctx, id); return err },
			refusalBody(404, "NotFoundError", "no"), answer{}, 1, provision.NotFound,
		},
		"a fault of the sidecar is not repeated": {
			func(ctx context.Context, c *Client) error { _, err := c.Request(ctx, id); return err },
			refusalBody(500, "Error", "oh"), answer{}, 1, provision.Internal,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, func(a asked) answer {
				if a.Number == 1 {
					return tt.first
				}
				return tt.then
			})
			err := tt.call(t.Context(), d.client(Retry(time.Minute)))
			if (err == nil) != (tt.kind == provision.Gone) || err != nil && provision.KindOf(err) != tt.kind {
				t.Errorf("error is %v (%s)", err, provision.KindOf(err))
			}
			if got := len(d.calls()); got != tt.calls {
				t.Errorf("it called %d times, want %d", got, tt.calls)
			}
		})
	}
}

func TestRetryEndsWithItsTimeAndContext(t *testing.T) {
	t.Parallel()
	busy := refusalBody(503, "ServiceUnavailableError", "busy")
	busy.header = map[string]string{"Retry-After": "60"}
	t.Run("a Retry-After beyond the time is not waited for", func(t *testing.T) {
		t.Parallel()
		d := newDouble(t, func(asked) answer { return busy })
		began := time.Now()
		_, err := d.client(Retry(30 * time.Second)).Me(t.Context())
		if provision.KindOf(err) != provision.Unavailable || len(d.calls()) != 1 || time.Since(began) > 10*time.Second {
			t.Errorf("error %v after %d calls and %s; want the sidecar's own after one", err, len(d.calls()), time.Since(began))
		}
	})
	t.Run("an ended context ends it", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d := newDouble(t, func(a asked) answer {
			if a.Number == 2 {
				cancel()
			}
			return refusalBody(503, "ServiceUnavailableError", "busy")
		})
		if _, err := d.client(Retry(time.Hour)).Me(ctx); err == nil {
			t.Error("it went on without a context")
		}
	})
}

func TestASidecarThatStartsLaterIsReached(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	d := &double{t: t, answer: func(asked) answer { return answer{body: api.Me{Groups: []string{}}} }}
	var tries atomic.Int32
	late := TokenSource(func(context.Context) (string, error) {
		if tries.Add(1) == 2 { // the first try was refused
			listener, err := net.Listen("tcp", address)
			if err != nil {
				return "", err
			}
			server := &http.Server{Handler: d}
			go func() { _ = server.Serve(listener) }() // until Close
			t.Cleanup(func() { _ = server.Close() })
		}
		return "a-token", nil
	})
	c, err := New("http://"+address+"/api/roadbed", "", late, Retry(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Me(t.Context()); err != nil {
		t.Errorf("Me: %v", err)
	}
}

func TestWhatIsNotTheAPI(t *testing.T) {
	t.Parallel()
	d := newDouble(t, func(asked) answer {
		return answer{header: map[string]string{"Content-Type": "text/html"}, body: "<html>", loose: true}
	})
	_, err := d.client().Me(t.Context())
	if err == nil || provision.KindOf(err) != provision.Internal {
		t.Errorf("a page of HTML gave %v", err)
	}
	for _, address := range []string{"", "localhost:7099", "ftp://x", "http://"} {
		if _, err := New(address, ""); provision.KindOf(err) != provision.Invalid {
			t.Errorf("New(%q) gave %v, want Invalid", address, err)
		}
	}
}
