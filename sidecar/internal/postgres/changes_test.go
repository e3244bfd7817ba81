package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestChangesFollowASnapshot(t *testing.T) {
	t.Parallel()
	store := open(t)
	gone := accept(t, store, testkit.Created("gone", nil))
	change(t, store, gone.Request.ID, func(r *provision.Record) error { return r.Cancel("x") })
	kept := accept(t, store, testkit.Created("kept", nil))
	all, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kept"}, names(all.Instances)); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	accept(t, store, testkit.Created("new", nil))
	change(t, store, kept.Request.ID, func(r *provision.Record) error { return r.Cancel("x") })
	// What other tests have open may make the cursor repeat; it never skips.
	states, cursor := map[string]provision.InstanceState{}, all.Cursor
	for deadline := time.Now().Add(20 * time.Second); states["kept"] != provision.Released || states["new"] == ""; {
		if time.Now().After(deadline) {
			t.Fatalf("changes are %v, want the new one and the released one", states)
		}
		got := follow(t, store, cursor, 1)
		for _, i := range got.Instances {
			states[i.Name] = i.State
		}
		cursor = got.Cursor
	}
}

func TestWaitingForChangesEndsWithTheFirst(t *testing.T) {
	t.Parallel()
	store := open(t)
	all, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan provision.InstanceChanges)
	go func() {
		changes, err := store.Changes(t.Context(), all.Cursor, time.Minute)
		if err != nil {
			t.Errorf("changes: %v", err)
		}
		got <- changes
	}()
	accept(t, store, testkit.Created("orders", nil))
	select {
	case changes := <-got:
		if diff := cmp.Diff([]string{"orders"}, names(changes.Instances)); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no answer though something changed")
	}
}

func TestCursorMissesNothingThatCommitsLate(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	slow := accept(t, store, testkit.Created("slow", nil))
	all, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const touch = `UPDATE instances SET cost_center = 'late', changed_txid = pg_current_xact_id() WHERE id = $1`
	if _, err := tx.Exec(t.Context(), touch, slow.Instance.ID); err != nil {
		t.Fatal(err)
	}
	accept(t, store, testkit.Created("fast", nil)) // a younger transaction that commits first
	early, err := store.Changes(t.Context(), all.Cursor, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen, cursor := early.Instances, early.Cursor
	for deadline := time.Now().Add(20 * time.Second); !sawLate(seen); {
		if time.Now().After(deadline) {
			t.Fatalf("a reader saw %v, want the late change of slow, and fast", names(seen))
		}
		late := follow(t, store, cursor, 1)
		seen, cursor = append(seen, late.Instances...), late.Cursor
	}
}

func TestUnusableCursorsAreGone(t *testing.T) {
	t.Parallel()
	store, other := open(t), open(t)
	all, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	identity, _, _ := strings.Cut(all.Cursor, ".")
	for name, cursor := range map[string]string{
		"of another database": foreign.Cursor, "from the future": identity + ".999999999999",
		"empty": "", "nonsense": "nonsense", "negative": identity + ".-1",
	} {
		if _, err := store.Changes(t.Context(), cursor, 0); kindOf(err) != provision.Gone {
			t.Errorf("a cursor %s: %v, want gone", name, err)
		}
	}
}

func TestListsAreKeysetPages(t *testing.T) {
	t.Parallel()
	store := open(t)
	want := []string{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		record := testkit.Created(name, func(r *provision.Request) {
			if name > "d" {
				r.Owner, r.RequestedBy = "group:default/search", "user:default/bob"
			}
		})
		accept(t, store, record)
		want = append([]string{name}, want...)
	}
	tests := map[string]struct {
		filter provision.RequestFilter
		want   []string
	}{
		"all":                    {provision.RequestFilter{Limit: 3}, want},
		"of an owner":            {provision.RequestFilter{Owners: []string{"group:default/search"}, Limit: 2}, []string{"g", "f", "e"}},
		"of two owners, merged":  {provision.RequestFilter{Owners: []string{"group:default/search", "group:default/payments", "group:default/search"}, Limit: 2}, want},
		"of no owner":            {provision.RequestFilter{Owners: []string{}}, []string{}},
		"of a person":            {provision.RequestFilter{RequestedBy: "user:default/ann", Limit: 3}, []string{"d", "c", "b", "a"}},
		"in a state":             {provision.RequestFilter{States: []provision.State{provision.Queued}, Limit: 4}, want},
		"in another state":       {provision.RequestFilter{States: []provision.State{provision.Failed}}, []string{}},
		"in another environment": {provision.RequestFilter{Environment: "prod"}, []string{}},
		"of an offering":         {provision.RequestFilter{Offering: "postgres-database"}, want},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := []string{}
			for pages := 0; pages < 10; pages++ {
				page, err := store.Requests(t.Context(), tt.filter)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Items {
					got = append(got, r.Name)
				}
				if page.Next == "" {
					break
				}
				tt.filter.Cursor = page.Next
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := store.Requests(t.Context(), provision.RequestFilter{Cursor: "x"}); kindOf(err) != provision.Invalid {
		t.Errorf("a made-up cursor: %v, want invalid", err)
	}
	living, err := store.Instances(t.Context(), provision.InstanceFilter{Owners: []string{"group:default/search"}, Limit: 2})
	if err != nil || len(living.Items) != 2 || living.Next == "" {
		t.Errorf("a page of two of three instances has %v and next %q (%v)", names(living.Items), living.Next, err)
	}
}

// follow collects changes until there are n, as other tests' transactions in
// the cluster may hold some back for a moment.
func follow(t *testing.T, store *postgres.Store, cursor string, n int) provision.InstanceChanges {
	t.Helper()
	all := provision.InstanceChanges{Cursor: cursor}
	for deadline := time.Now().Add(20 * time.Second); len(all.Instances) < n && time.Now().Before(deadline); {
		more, err := store.Changes(t.Context(), all.Cursor, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		all.Instances, all.Cursor = append(all.Instances, more.Instances...), more.Cursor
	}
	return all
}

func sawLate(seen []provision.Instance) bool {
	return slices.ContainsFunc(seen, func(i provision.Instance) bool { return i.Name == "slow" && i.CostCenter == "late" }) &&
		slices.ContainsFunc(seen, func(i provision.Instance) bool { return i.Name == "fast" })
}

func names(instances []provision.Instance) []string {
	names := []string{}
	for _, i := range instances {
		names = append(names, i.Name)
	}
	return names
}
