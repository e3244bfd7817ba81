package control_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestTwoSidecarsTogetherExceedNoLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Limits = func() provision.Limits {
		return provision.Limits{Slots: 3, Teams: map[string]int{"group:default/payments": 2}}
	}
	for i := range 40 {
		s.accept(fmt.Sprintf("orders-%d", i), func(r *provision.Request) {
			if i%4 == 0 {
				r.Owner = "group:default/search"
			}
		})
	}
	s.run(s.config)
	other := s.config
	other.Store, other.Queue = s.open(), s.connect()
	s.run(other)
	s.worker("local", 1)
	s.worker("local", 1)
	testkit.Eventually(t, soon, "all have succeeded", func() bool {
		page, err := s.store.Requests(t.Context(), provision.RequestFilter{States: []provision.State{provision.Succeeded}, Limit: 100})
		return err == nil && len(page.Items) == 40
	})
	conn, err := pgx.Connect(t.Context(), s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var payments, all int
	err = conn.QueryRow(t.Context(), `
		SELECT max((SELECT count(*) FROM runs o JOIN requests q ON q.id = o.request_id
		             WHERE q.owner = 'group:default/payments' AND o.dispatched_at <= u.dispatched_at AND o.updated_at > u.dispatched_at)),
		       max((SELECT count(*) FROM runs o WHERE o.dispatched_at <= u.dispatched_at AND o.updated_at > u.dispatched_at))
		  FROM runs u`).Scan(&payments, &all)
	if err != nil || payments != 2 || all != 3 {
		t.Errorf("payments had %d runs in flight at once, the pool %d (%v), want at most their 2 and 3", payments, all, err)
	}
}
