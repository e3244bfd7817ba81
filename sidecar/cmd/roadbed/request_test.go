package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	askedAt   = time.Date(2025, 9, 1, 12, 0, 0, 0, time.Local)
	ordersAsk = uuid.MustParse("0199a3c0-0000-7000-8000-000000000001")
)

// ordersRequest is a request for the database orders in a state, three steps long.
func ordersRequest(state provision.State) api.Request {
	price := 85*provision.Dollar + 500
	return api.Request{
		Id: ordersAsk, Action: provision.Create, Offering: "postgres-database", OfferingName: "PostgreSQL Database", OfferingVersion: "1.2.0",
		EntityRef: "resource:dev/orders.postgres-database", Environment: "dev", Name: "orders", Owner: "group:default/payments", CostCenter: "CC-1234",
		State: state, RequestedBy: "user:default/ann", MonthlyCost: &price, Outcome: provision.OutcomeAllow, Findings: []provision.Finding{},
		Steps: []api.Step{
			{Step: 1, Name: "Validate request", Status: provision.StepPending},
			{Step: 2, Name: "Create database instance", Status: provision.StepPending},
			{Step: 3, Name: "Store credentials", Status: provision.StepPending},
		},
		Sequence: 3, CreatedAt: askedAt, UpdatedAt: askedAt,
	}
}

// checkText compares what is printed, line by line.
func checkText(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimPrefix(want, "\n"), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestPrintRequest(t *testing.T) {
	seconds := 38.2
	tests := map[string]struct {
		edit func(*api.Request)
		want string
	}{
		"one that waits says for what": {
			func(r *api.Request) { r.State, r.Waiting = provision.Queued, "waiting for a worker" }, `
Request   0199a3c0-0000-7000-8000-000000000001
Ask       create orders · PostgreSQL Database 1.2.0 · dev
State     queued: waiting for a worker
Price     $85.50 / month
Owner     group:default/payments, cost center CC-1234
Asked     by user:default/ann 3 min ago
Entity    resource:dev/orders.postgres-database
`,
		},
		"one that runs shows its steps": {
			func(r *api.Request) {
				r.State, r.CancelReason = provision.Applying, "wrong region"
				r.Steps[0].Status, r.Steps[1].Status = provision.StepCompleted, provision.StepInProgress
				r.Steps[0].DurationSeconds, r.Steps[1].DurationSeconds = new(float64), &seconds
				r.Steps[1].Details = "1 of 3 resources\nand more"
			}, `
Request   0199a3c0-0000-7000-8000-000000000001
Ask       create orders · PostgreSQL Database 1.2.0 · dev
State     applying, being cancelled: wrong region
Price     $85.50 / month
Owner     group:default/payments, cost center CC-1234
Asked     by user:default/ann 3 min ago
Entity    resource:dev/orders.postgres-database

Steps
  ✓ 1 Validate request             0.0 s
  ◐ 2 Create database instance      38 s  1 of 3 resources
  ○ 3 Store credentials
`,
		},
		"a denied one gives every reason with its way out, once": {
			func(r *api.Request) {
				r.State, r.MonthlyCost = provision.DeniedState, nil
				r.Findings = []provision.Finding{
					{Rule: "cost_limit", Level: provision.LevelDeny, Message: "Over the limit.", WayOut: "Choose a smaller one."},
					{Rule: "naming", Level: provision.LevelWarn, Message: "An odd name."},
				}
				r.Error = &provision.Failure{Message: "Over the limit. Choose a smaller one."}
			}, `
Request   0199a3c0-0000-7000-8000-000000000001
Ask       create orders · PostgreSQL Database 1.2.0 · dev
State     denied
Owner     group:default/payments, cost center CC-1234
Asked     by user:default/ann 3 min ago
Entity    resource:dev/orders.postgres-database

Policy
  ✕ Over the limit. Choose a smaller one.  (cost_limit)
  ! An odd name.  (naming)
`,
		},
		"a failed one gives the provider's words and the way out": {
			func(r *api.Request) {
				r.State = provision.Failed
				r.Error = &provision.Failure{Message: "failed at step 2 of 3: Create database instance", Detail: "quota exceeded\n\nfor db.t3", WayOut: "Ask for quota."}
			}, `
Request   0199a3c0-0000-7000-8000-000000000001
Ask       create orders · PostgreSQL Database 1.2.0 · dev
State     failed
Price     $85.50 / month
Owner     group:default/payments, cost center CC-1234
Asked     by user:default/ann 3 min ago
Entity    resource:dev/orders.postgres-database

failed at step 2 of 3: Create database instance
  quota exceeded

  for db.t3
  Ask for quota.
`,
		},
		"one that succeeded gives its outputs": {
			func(r *api.Request) {
				r.State, r.Outputs = provision.Succeeded, map[string]any{"port": json.Number("5432"), "endpoint": "127.0.0.1"}
			}, `
Request   0199a3c0-0000-7000-8000-000000000001
Ask       create orders · PostgreSQL Database 1.2.0 · dev
State     succeeded
Price     $85.50 / month
Owner     group:default/payments, cost center CC-1234
Asked     by user:default/ann 3 min ago
Entity    resource:dev/orders.postgres-database

Outputs
  endpoint  127.0.0.1
  port      5432
`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := ordersRequest(provision.Queued)
			tt.edit(&r)
			var out strings.Builder
			printRequest(&out, r, askedAt.Add(3*time.Minute))
			checkText(t, out.String(), tt.want)
		})
	}
}

func TestRequestListing(t *testing.T) {
	t.Run("a table with what has no price", func(t *testing.T) {
		other := ordersRequest(provision.AwaitingApproval)
		other.Name, other.MonthlyCost, other.Owner, other.CreatedAt = "a-longer-name", nil, "user:default/ben", askedAt.Add(-50*time.Hour)
		var out strings.Builder
		if err := requestListing(askedAt.Add(12*time.Second)).print(&out, []api.Request{ordersRequest(provision.Queued), other}, false); err != nil {
			t.Fatal(err)
		}
		checkText(t, out.String(), `
REQUEST                               STATE              ACTION  NAME           OFFERING           ENVIRONMENT  OWNER             MONTHLY  ASKED
0199a3c0-0000-7000-8000-000000000001  queued             create  orders         postgres-database  dev          payments          $85.50   12 s ago
0199a3c0-0000-7000-8000-000000000001  awaiting_approval  create  a-longer-name  postgres-database  dev          user:default/ben  -        2 d ago
`)
	})
	t.Run("nothing, and how to have something", func(t *testing.T) {
		var out strings.Builder
		if err := requestListing(askedAt).print(&out, nil, false); err != nil {
			t.Fatal(err)
		}
		checkText(t, out.String(), "There are no requests here. Ask for something with: roadbed request create --help\n")
	})
}

func TestConfirm(t *testing.T) {
	instance := api.Instance{Name: "orders", OfferingName: "PostgreSQL Database", Environment: "dev", State: provision.Ready}
	t.Run("the name lets it go on", func(t *testing.T) {
		var ask strings.Builder
		if err := confirm(t.Context(), strings.NewReader(" orders \n"), &ask, instance); err != nil {
			t.Errorf("confirm: %v", err)
		}
		checkText(t, ask.String(), `
orders · PostgreSQL Database · dev · ready
What it holds will be lost. Type orders to destroy it: `)
	})
	for name, typed := range map[string]string{"another name": "order\n", "yes": "y\n", "nothing": ""} {
		t.Run(name+" does not", func(t *testing.T) {
			var ask strings.Builder
			if err := confirm(t.Context(), strings.NewReader(typed), &ask, instance); err == nil {
				t.Errorf("%q destroys", typed)
			}
		})
	}
	t.Run("an interrupt ends the question", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		read, written := make(chan struct{}), &strings.Builder{}
		defer close(read)
		err := confirm(ctx, blocked(read), written, instance)
		if code := exit(0); !errors.As(err, &code) || int(code) != exitInterrupted {
			t.Errorf("confirm gave %v, want exit code %d", err, exitInterrupted)
		}
	})
}

// blocked is a reader at which nothing is typed until the channel closes.
type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) {
	<-b
	return 0, errors.New("closed")
}
