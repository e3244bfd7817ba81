package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const price = provision.Money(85_500) // of testkit's requests

var payers = []provision.Scope{
	{Kind: provision.BudgetTeam, Name: "group:default/payments"}, {Kind: provision.BudgetCostCenter, Name: "cc-1001"},
	{Kind: provision.BudgetEnvironment, Name: "dev"},
}

// capped is a create whose environment may spend at most so much.
func capped(name string, limit provision.Money) *provision.Record {
	return testkit.Created(name, func(r *provision.Request) {
		r.IdempotencyKey = name
		r.Verdict.Budgets = []provision.BudgetLeft{{Scope: payers[2], Limit: limit, Left: limit, Level: provision.LevelDeny}}
	})
}

// taken fails unless each payer's balance is so and is the sum over the living
// instances.
func taken(t testing.TB, store *postgres.Store, dsn string, reserved, committed provision.Money) {
	t.Helper()
	balances, err := store.Balances(t.Context(), payers)
	if err != nil {
		t.Fatal(err)
	}
	var want []provision.Balance
	for _, scope := range payers {
		want = append(want, provision.Balance{Scope: scope, Reserved: reserved, Committed: committed})
	}
	if diff := cmp.Diff(want, balances); diff != "" {
		t.Errorf("balances (-want +got):\n%s", diff)
	}
	counted(t, dsn)
}

// uncountedSQL names the balances that are not the sum over the instances that
// pay from them, "" when all are.
const uncountedSQL = `
	SELECT COALESCE(string_agg(concat_ws(' ', b.kind, b.name, b.reserved_mills, b.committed_mills, 'and not', s.reserved, s.committed), ', '), '')
	  FROM balances b
	  FULL JOIN (SELECT p.kind, p.name, sum(i.reserved_mills) AS reserved, sum(i.committed_mills) AS committed
	               FROM instances i
	              CROSS JOIN LATERAL (VALUES ('team', i.owner), ('cost_center', i.cost_center), ('environment', i.environment)) AS p (kind, name)
	              GROUP BY p.kind, p.name) s USING (kind, name)
	 WHERE (COALESCE(b.reserved_mills, -1), COALESCE(b.committed_mills, -1)) <> (s.reserved, s.committed)`

// counted fails unless every balance is the sum over the instances that pay
// from it.
func counted(t testing.TB, dsn string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var wrong string
	err = conn.QueryRow(t.Context(), uncountedSQL).Scan(&wrong)
	if err != nil || wrong != "" {
		t.Errorf("balances are not the sums over the instances: %s (%v)", wrong, err)
	}
}

func TestBalancesFollowALife(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	taken(t, store, dsn, 0, 0)
	record := accept(t, store, testkit.Created("orders", nil))
	taken(t, store, dsn, price, 0)
	claimed(t, store, record.Request.ID)
	read := change(t, store, record.Request.ID, func(r *provision.Record) error {
		if len(r.Balances) != 3 || r.Balances[0].Scope != payers[0] || r.Balances[2].Reserved != price {
			t.Errorf("the record was read with balances %+v, want those of its three payers", r.Balances)
		}
		return nil
	})
	change(t, store, record.Request.ID, func(r *provision.Record) error { return r.GoOn(testkit.Verdict()) })
	taken(t, store, dsn, 0, price)
	change(t, store, record.Request.ID, func(r *provision.Record) error {
		_, err := r.Take(provision.Report{RunID: read.Run.ID, Fence: 1, Sequence: 1, Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded}})
		return err
	})
	instance, err := store.Instance(t.Context(), record.Instance.ID)
	if err != nil || instance.Committed != price || instance.Reserved != 0 {
		t.Errorf("instance has %s reserved and %s committed (%v), want all committed", instance.Reserved, instance.Committed, err)
	}
	ready(t, store, accept(t, store, testkit.Destroyed(instance)).Request.ID)
	taken(t, store, dsn, 0, 0)
}

func TestAnInstanceTakesItsMoneyAlongToAnotherOwner(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	record := accept(t, store, testkit.Created("orders", nil))
	ready(t, store, record.Request.ID)
	change(t, store, record.Request.ID, func(r *provision.Record) error {
		r.Instance.Owner = "group:default/search"
		return nil
	})
	got, err := store.Balances(t.Context(), []provision.Scope{payers[0], {Kind: provision.BudgetTeam, Name: "group:default/search"}, payers[1]})
	if err != nil || got[0].Spent() != 0 || got[1].Committed != price || got[2].Committed != price {
		t.Errorf("balances are %+v (%v), want the team's moved and the cost centre's as it was", got, err)
	}
	counted(t, dsn)
}

// Many ask at once for what only some can have: whatever the order, the cap
// holds, the others leave nothing behind, and what is freed can be had again.
func TestManyAtOnceNeverPassTheCap(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	const askers, fit = 64, 10
	limit := fit*price + price/2
	var accepted, refused atomic.Int64
	var asking sync.WaitGroup
	ids := make(chan *provision.Record, askers)
	for n := range askers {
		asking.Go(func() {
			record := capped(fmt.Sprintf("orders-%d", n), limit)
			switch err := store.Accept(t.Context(), record); {
			case err == nil:
				accepted.Add(1)
				ids <- record
			case errors.Is(err, provision.ErrBudget):
				refused.Add(1)
			default:
				t.Errorf("accept: %v", err)
			}
		})
	}
	asking.Wait()
	if accepted.Load() != fit || refused.Load() != askers-fit {
		t.Errorf("%d were accepted and %d refused, want %d and %d", accepted.Load(), refused.Load(), fit, askers-fit)
	}
	taken(t, store, dsn, fit*price, 0)
	change(t, store, (<-ids).Request.ID, func(r *provision.Record) error { return r.Cancel("changed my mind") })
	taken(t, store, dsn, (fit-1)*price, 0)
	accept(t, store, capped("late", limit))
	if err := store.Accept(t.Context(), capped("first-of-all", price-1)); !errors.Is(err, provision.ErrBudget) {
		t.Errorf("more than the whole budget: %v, want ErrBudget", err)
	}
}

func TestALoweredCapBlocksIncreasesOnly(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	record := accept(t, store, testkit.Created("orders", nil))
	claimed(t, store, record.Request.ID)
	lowered := func(cost provision.Money) provision.Verdict {
		v := testkit.Verdict()
		v.Estimate.MonthlyCost = cost
		v.Budgets = []provision.BudgetLeft{{Scope: payers[2], Limit: 1, Left: 1}}
		return v
	}
	_, err := store.Change(t.Context(), record.Request.ID, func(r *provision.Record) error { return r.GoOn(lowered(price + 1)) })
	if !errors.Is(err, provision.ErrBudget) {
		t.Errorf("a mill more: %v, want ErrBudget", err)
	}
	taken(t, store, dsn, price, 0)
	change(t, store, record.Request.ID, func(r *provision.Record) error { return r.GoOn(lowered(price)) })
	taken(t, store, dsn, 0, price)
}

// Sessions end in the middle of transactions that move money. Whatever became
// of each, a balance is the sum over the instances, and when all have ended it
// is nothing.
func TestEndedSessionsLeakNoMoney(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	killer, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close(t.Context())
	const askers, each = 8, 10
	var asking sync.WaitGroup
	for asker := range askers {
		asking.Go(func() {
			for n := range each {
				record := capped(fmt.Sprintf("orders-%d-%d", asker, n), 1000*price)
				until(t, func() error {
					err := store.Accept(t.Context(), record)
					var replay *provision.Replay
					if errors.As(err, &replay) {
						record.Request, err = replay.Request, nil
					}
					return err
				})
				until(t, func() error {
					_, err := store.Change(t.Context(), record.Request.ID, func(r *provision.Record) error { return r.Cancel("changed my mind") })
					return err
				})
			}
		})
	}
	done := make(chan struct{})
	go func() { asking.Wait(); close(done) }()
	killed := 0
	for open := true; open; {
		var n int
		err := killer.QueryRow(t.Context(), `
			SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND random() < 0.2`).Scan(&n)
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
		t.Error("no session was ended: nothing was tried")
	}
	taken(t, store, dsn, 0, 0)
}

// until repeats what the database was too busy ending sessions for.
func until(t *testing.T, do func() error) {
	for deadline := time.Now().Add(minute); ; {
		err := do()
		if err == nil {
			return
		}
		if kindOf(err) != provision.Unavailable || time.Now().After(deadline) {
			t.Errorf("repeated until it works: %v", err)
			return
		}
	}
}

func TestTheMigrationCountsWhatIsThere(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	accept(t, store, testkit.Created("waits", nil))
	ready(t, store, accept(t, store, testkit.Created("lives", nil)).Request.ID)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	before := `
		DROP FUNCTION roadbed_spend; DROP TABLE balances; ALTER TABLE instances DROP COLUMN reserved_mills, DROP COLUMN committed_mills`
	if _, err := conn.Exec(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	migration, err := os.ReadFile("migrations/0014_spend.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), string(migration)); err != nil {
		t.Fatal(err)
	}
	again := openDSN(t, dsn)
	taken(t, again, dsn, price, price)
}
