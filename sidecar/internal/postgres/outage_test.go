package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// Sessions are ended at any moment, between commit and its answer too. A caller
// who repeats its ask under its key until it gets an answer has one request.
func TestEndedSessionsNeitherLoseNorDoubleARequest(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	const callers, each = 8, 10
	var calling sync.WaitGroup
	for caller := range callers {
		calling.Go(func() {
			for n := range each {
				name := fmt.Sprintf("orders-%d-%d", caller, n)
				for {
					err := store.Accept(t.Context(), testkit.Created(name, func(r *provision.Request) { r.IdempotencyKey = name }))
					var replay *provision.Replay
					if err == nil || errors.As(err, &replay) {
						break
					}
					if kindOf(err) != provision.Unavailable {
						t.Errorf("accept %s: %v, want unavailable", name, err)
						return
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { calling.Wait(); close(done) }()
	killer, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close(t.Context())
	killed := 0
	for open := true; open; {
		var n int
		err := killer.QueryRow(t.Context(), `
			SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND random() < 0.2`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		killed += n
		select {
		case <-done:
			open = false
		default:
		}
	}
	if killed == 0 {
		t.Error("no session was ended: the test has shown nothing")
	}
	var requests, names, gaps int
	err = killer.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM requests), (SELECT count(DISTINCT name) FROM instances),
		       (SELECT count(*) FROM requests r
		         WHERE r.sequence <> (SELECT count(*) FROM events e JOIN outbox o ON o.event_id = e.id WHERE e.subject_id = r.id))`).
		Scan(&requests, &names, &gaps)
	if err != nil {
		t.Fatal(err)
	}
	if requests != callers*each || names != callers*each || gaps != 0 {
		t.Errorf("%d requests, %d names and %d requests without all their events, want %d, %d and 0 (%d sessions ended)",
			requests, names, gaps, callers*each, callers*each, killed)
	}
}
