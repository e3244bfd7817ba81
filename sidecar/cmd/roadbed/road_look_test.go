package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// submission asks for a database in an environment; the name is new on this
// road each time.
func (r *road) submission(environment string) api.Submission {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names++
	return api.Submission{Offering: "postgres-database", Parameters: provision.Parameters{
		"database_name": fmt.Sprintf("orders-%s-%d", r.mark, r.names), "environment": environment, "team_owner": "payments", "cost_center": "CC-1234",
	}}
}

// submit asks as Ann and is accepted.
func (r *road) submit(s api.Submission) api.Request {
	r.t.Helper()
	request, err := r.as(ann).Submit(r.t.Context(), uuid.NewString(), s)
	if err != nil {
		r.t.Fatalf("submit: %v", err)
	}
	if request.State != provision.Queued {
		r.t.Fatalf("a request that was accepted is %s", request.State)
	}
	return request
}

// row is a request as the database has it.
func (r *road) row(id uuid.UUID) (state provision.State, waiting string) {
	r.t.Helper()
	if err := r.pool.QueryRow(r.t.Context(), "SELECT state, waiting FROM requests WHERE id = $1", id).Scan(&state, &waiting); err != nil {
		r.t.Fatalf("read request %s: %v", id, err)
	}
	return state, waiting
}

// untilState waits for a state, and fails at once when the request ends in another.
func (r *road) untilState(id uuid.UUID, want provision.State) {
	r.t.Helper()
	r.until(fmt.Sprintf("request %s is %s", id, want), func() bool {
		state, _ := r.row(id)
		if state != want && state.Terminal() {
			request, err := r.as(ann).Request(r.t.Context(), id)
			r.t.Fatalf("request %s is %s, want %s: %+v %v", id, state, want, request.Error, err)
		}
		return state == want
	})
}

// untilMaking waits until the delayed database of a request is being made. By
// then its owner role is finished.
func (r *road) untilMaking(id uuid.UUID) {
	r.t.Helper()
	run := r.runID(id)
	r.until("a database is being made", func() bool {
		return slices.ContainsFunc(r.heard.on("roadbed.rpt."), func(m *nats.Msg) bool {
			return strings.HasSuffix(m.Subject, run) && bytes.Contains(m.Data, []byte(`"address":"postgres_database.main","status":"started"`))
		})
	})
}

// runID is the newest run of a request, once it has one.
func (r *road) runID(request uuid.UUID) (id string) {
	r.t.Helper()
	r.until("the request has a run", func() bool {
		err := r.pool.QueryRow(r.t.Context(), "SELECT id::text FROM runs WHERE request_id = $1 ORDER BY dispatched_at DESC LIMIT 1", request).Scan(&id)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			r.t.Fatal(err)
		}
		return err == nil
	})
	return id
}

// number is the one number that a query gives.
func (r *road) number(query string, args ...any) int {
	r.t.Helper()
	var n int
	if err := r.pool.QueryRow(r.t.Context(), query, args...).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// made are the databases, and the roles, that exist for a name on the target.
func (r *road) made(name any) (databases, roles int) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), parts.target.DSN("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	prefix := strings.ReplaceAll(name.(string), "-", "_") + "_"
	err = conn.QueryRow(r.t.Context(), `SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)), (SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1))`, prefix).Scan(&databases, &roles)
	if err != nil {
		r.t.Fatal(err)
	}
	return databases, roles
}

// wantMade holds the target to exactly these.
func (r *road) wantMade(name any, databases, roles int) {
	r.t.Helper()
	if d, u := r.made(name); d != databases || u != roles {
		r.t.Errorf("%d databases and %d roles of %v exist, want %d and %d", d, u, name, databases, roles)
	}
}

// wantApplies holds Terraform to exactly this many.
func (r *road) wantApplies(n int) {
	r.t.Helper()
	if got := r.commands("apply"); got != n {
		r.t.Errorf("Terraform was told to apply %d times, want %d", got, n)
	}
}
