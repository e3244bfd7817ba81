package postgres_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestAnyStoryLeavesTheRowsThatItTells lets callers, workers, the sweep and
// operators do moves in chance orders, most of them untimely, to a few
// instances, and compares the rows with a reference after each (story_model_test.go).
// A story that fails is printed at its shortest, with the seed that repeats it:
// -rapid.seed, -rapid.checks and -rapid.steps say which, how many and how long.
func TestAnyStoryLeavesTheRowsThatItTells(t *testing.T) {
	t.Parallel()
	bounds := map[string]string{"rapid.seed": "20261128", "rapid.checks": "40", "rapid.steps": "60", "rapid.nofailfile": "true"}
	flag.Visit(func(f *flag.Flag) { delete(bounds, f.Name) }) // whoever says otherwise gets it
	for name, bound := range bounds {
		if err := flag.Set(name, bound); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %s", flag.Lookup("rapid.seed").Value)
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var serial atomic.Int64
	reached := map[provision.State]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := &story{store: store, conn: conn, owner: fmt.Sprintf("group:default/team-%d", serial.Add(1)), reached: reached}
		t.Repeat(map[string]func(*rapid.T){"": s.compare, "move": s.move})
	})
	t.Logf("reached %v", reached)
	for _, state := range []provision.State{provision.Succeeded, provision.Failed, provision.DeniedState, provision.Cancelled, provision.Lost} {
		if reached[state] == 0 && bounds["rapid.checks"] != "" && !t.Failed() {
			t.Errorf("no story was ever %s: the moves do not reach it", state)
		}
	}
}

// story is what happens to the instances of one owner.
type story struct {
	store   *postgres.Store
	conn    *pgx.Conn
	owner   string
	things  []*thing // oldest first
	reached map[provision.State]int
}

// move does one of those that have something to act on, that which leads on more
// often than the others.
func (s *story) move(t *rapid.T) {
	moves := map[string]func(*rapid.T){"create": s.create}
	names := []string{"create"}
	add := func(name string, weight int, do func(*rapid.T)) {
		moves[name], names = do, append(names, slices.Repeat([]string{name}, weight)...)
	}
	if len(s.things) > 0 {
		add("go ahead", 5, s.goAhead)
		add("ask again", 1, s.askAgain)
		add("cancel", 1, s.cancel)
		add("give up", 1, s.giveUp)
		add("take back", 1, s.takeBack)
		add("attest", 2, s.attest)
		add("recover", 2, s.recover)
		add("conclude", 1, s.conclude)
	}
	if len(s.runs()) > 0 {
		add("claim", 1, s.claim)
		add("plan", 1, s.plan)
		add("renew", 1, s.renew)
		add("release", 1, s.release)
		add("report", 1, s.report)
		add("silence", 2, s.silence)
		add("sweep", 2, s.sweep)
		add("expire late", 1, s.expireLate)
	}
	if slices.ContainsFunc(s.runs(), applies) {
		add("lose", 2, s.lose)
	}
	moves[anyOf(names...).Draw(t, "move")](t)
}

// anyOf draws each of up to 64 values about as often; rapid itself would draw the
// first ones most.
func anyOf[V any](values ...V) *rapid.Generator[V] {
	return rapid.Custom(func(t *rapid.T) V {
		n := 0
		for range 6 {
			n <<= 1
			if rapid.Bool().Draw(t, "bit") {
				n++
			}
		}
		return values[n%len(values)]
	})
}

// told fails unless the store has taken a move where it counts, and has answered
// a conflict where it does not.
func (s *story) told(t *rapid.T, what string, counts bool, err error) {
	switch {
	case counts && err != nil:
		t.Fatalf("%s: %v, want it to be taken", what, err)
	case !counts && provision.KindOf(err) != provision.Conflict:
		t.Fatalf("%s: %v, want a conflict", what, err)
	}
}

// asked does a move of a request.
func (s *story) asked(t *rapid.T, what string, a *ask, counts bool, decide func(*provision.Record) error) *provision.Record {
	record, err := s.store.Change(t.Context(), a.id, decide)
	s.told(t, what, counts, err)
	return record
}

// held does a move of a run for a worker, which shows a token.
func (s *story) held(t *rapid.T, what string, e *execution, counts bool, decide func(*provision.Record) error) {
	_, err := s.store.ChangeRun(t.Context(), e.id, func(r *provision.Record) error {
		if err := new(provision.Runs).Authenticate(r, e.shown); err != nil {
			return err
		}
		return decide(r)
	})
	s.told(t, what, counts, err)
}

func (s *story) create(t *rapid.T) {
	name := s.owner + anyOf(" orders", " billing").Draw(t, "name")
	record := testkit.Created(name, func(r *provision.Request) { r.Owner = s.owner })
	free := !slices.ContainsFunc(s.things, func(i *thing) bool { return i.name == name && !i.state.Gone() })
	s.told(t, "create", free, s.store.Accept(t.Context(), record))
	if free {
		i := &thing{id: record.Instance.ID, name: name, state: provision.Reserved, seen: *record.Instance}
		i.begin(record.Request)
		s.things = append(s.things, i)
	}
}

// askAgain changes or destroys an instance as the asker has seen it, be it long ago.
func (s *story) askAgain(t *rapid.T) {
	i := s.thing(t)
	if anyOf(true, true, true, false).Draw(t, "looks first") {
		seen, err := s.store.Instance(t.Context(), i.id)
		if err != nil {
			t.Fatal(err)
		}
		i.seen = seen
	}
	cost := anyOf[provision.Money](50_000, 85_500, 99_000).Draw(t, "cost")
	record := testkit.Changed(i.seen, anyOf(provision.Update, provision.Destroy).Draw(t, "action"), func(r *provision.Request) { r.MonthlyCost = &cost })
	counts := !i.state.Gone() && i.newest().state.Terminal() && i.seen.Generation == int64(len(i.asks)) && i.seen.Committed == i.committed
	s.told(t, "ask again", counts, s.store.Accept(t.Context(), record))
	if counts {
		i.begin(record.Request)
	}
}

// goAhead is what comes next where nothing goes wrong; without it few come far.
func (s *story) goAhead(t *rapid.T) {
	a := s.thing(t).newest()
	e := a.run()
	switch {
	case a.state == provision.Queued && (e == nil || e.state == provision.RunEnded):
		record := s.asked(t, "dispatch", a, true, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
		a.dispatch(record.Run.ID)
	case e != nil && e.state == provision.RunDispatched:
		s.claimFor(t, e, "w1")
	case a.state == provision.Planning:
		s.planFor(t, e, false)
	case a.state == provision.Applying:
		s.reportFor(t, e, e.fence, e.sequence+1, provision.ResultSucceeded)
	case a.state == provision.Lost && e.state == provision.RunClaimed:
		s.attestFor(t, a)
	case a.state == provision.Lost:
		s.recoverFor(t, a)
	default:
		_, err := s.store.Change(t.Context(), a.id, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
		s.told(t, "dispatch", false, err)
	}
}

func (s *story) claim(t *rapid.T) {
	s.claimFor(t, s.run(t), anyOf("w1", "w2", "w3").Draw(t, "worker"))
}

func (s *story) claimFor(t *rapid.T, e *execution, worker string) {
	token := uuid.NewString()
	counts := e.claim(worker)
	_, err := s.store.ChangeRun(t.Context(), e.id, func(r *provision.Record) error { return r.Claim(worker, digestOf(token), time.Hour) })
	s.told(t, "claim", counts, err)
	if counts {
		e.shown, e.token = token, true
	}
}

func (s *story) plan(t *rapid.T) {
	s.planFor(t, s.run(t), anyOf(false, false, true).Draw(t, "denied"))
}

func (s *story) planFor(t *rapid.T, e *execution, deny bool) {
	s.held(t, "plan", e, e.plan(deny), func(r *provision.Record) error {
		verdict := testkit.Verdict()
		if deny {
			verdict = testkit.Denial()
		}
		verdict.Estimate.MonthlyCost = *r.Request.MonthlyCost
		return r.GoOn(verdict)
	})
}

func (s *story) renew(t *rapid.T) {
	e := s.run(t)
	s.held(t, "renew", e, e.renew(), func(r *provision.Record) error { return r.Renew(time.Hour) })
}

func (s *story) release(t *rapid.T) {
	e := s.run(t)
	s.held(t, "release", e, e.release(), func(r *provision.Record) error { return r.Release() })
}

// report is one in order, late, for the second time or of another's token.
func (s *story) report(t *rapid.T) {
	e := s.run(t)
	fence := max(0, e.fence+anyOf[int64](0, 0, 0, -1, 1).Draw(t, "fence"))
	sequence := max(0, e.sequence+anyOf[int64](1, 0, -1, 3).Draw(t, "sequence"))
	s.reportFor(t, e, fence, sequence, anyOf("", provision.ResultSucceeded, provision.ResultFailed, provision.ResultCancelled).Draw(t, "result"))
}

func (s *story) reportFor(t *rapid.T, e *execution, fence, sequence int64, result string) {
	report := provision.Report{RunID: e.id, Fence: fence, Sequence: sequence, Kind: provision.ReportAddress, Address: "terraform_data.user", Status: "started"}
	if result != "" {
		report.Kind, report.Outcome = provision.ReportOutcome, &provision.RunOutcome{Result: result, Applied: true}
	}
	var counted bool
	_, err := s.store.ChangeRun(t.Context(), e.id, func(r *provision.Record) (err error) {
		counted, err = r.Take(report)
		return err
	})
	s.told(t, "report", true, err)
	if counts := e.take(fence, sequence, result); counts != counted {
		t.Fatalf("a report of fence %d and sequence %d counts: %t, want %t", fence, sequence, counted, counts)
	}
}

// silence lets a lease run out.
func (s *story) silence(t *rapid.T) { s.silenceFor(t, s.run(t)) }

// applies reports whether a worker is applying a run.
func applies(e *execution) bool {
	return e.state == provision.RunClaimed && e.of.state == provision.Applying
}

// lose is a worker that falls silent while it applies, which the sweep finds.
func (s *story) lose(t *rapid.T) {
	runs := s.runs()
	s.silenceFor(t, runs[slices.IndexFunc(runs, applies)])
	s.sweep(t)
}

func (s *story) silenceFor(t *rapid.T, e *execution) {
	if e.state != provision.RunClaimed {
		return
	}
	if _, err := s.conn.Exec(t.Context(), `UPDATE runs SET lease_expires_at = now() - interval '1 second' WHERE id = $1`, e.id); err != nil {
		t.Fatal(err)
	}
	e.silent = true
}

func (s *story) sweep(t *rapid.T) {
	expired, err := s.store.Expired(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.runs() {
		due := e.state == provision.RunClaimed && e.silent && e.of.state != provision.Lost
		if found := slices.Contains(expired, e.id); found != due {
			t.Fatalf("run %s is swept: %t, want %t", e.id, found, due)
		}
		if due {
			s.expire(t, e)
		}
	}
}

// expireLate is a sweep that has found a run which has moved on since.
func (s *story) expireLate(t *rapid.T) { s.expire(t, s.run(t)) }

func (s *story) expire(t *rapid.T, e *execution) {
	_, err := s.store.ChangeRun(t.Context(), e.id, func(r *provision.Record) error { return r.Expire() })
	s.told(t, "expire", true, err)
	e.expire()
}

func (s *story) cancel(t *rapid.T) {
	a := s.thing(t).newest()
	s.asked(t, "cancel", a, a.cancel(), func(r *provision.Record) error { return r.Cancel("changed my mind") })
}

func (s *story) giveUp(t *rapid.T) {
	a := s.thing(t).newest()
	s.asked(t, "give up", a, a.giveUp(), func(r *provision.Record) error { return r.GiveUp("no worker took it") })
}

func (s *story) takeBack(t *rapid.T) {
	a := s.thing(t).newest()
	if e := a.run(); e != nil && e.state == provision.RunDispatched {
		e.state = provision.RunEnded
	}
	s.asked(t, "take back", a, true, func(r *provision.Record) error {
		r.TakeBack("its job was lost")
		return nil
	})
}

func (s *story) attest(t *rapid.T) { s.attestFor(t, s.thing(t).newest()) }

func (s *story) attestFor(t *rapid.T, a *ask) {
	s.asked(t, "attest", a, a.attest(), func(r *provision.Record) error { return r.Attest(pat, "its machine is gone") })
}

func (s *story) recover(t *rapid.T) { s.recoverFor(t, s.thing(t).newest()) }

func (s *story) recoverFor(t *rapid.T, a *ask) {
	lost := a.state == provision.Lost
	counts := lost && a.run().state != provision.RunClaimed
	anew := lost && a.run().state == provision.RunEnded
	record := s.asked(t, "recover", a, counts, func(r *provision.Record) error { return r.Recover(pat, "local", "its machine is gone") })
	if anew {
		a.dispatch(record.Run.ID)
	}
}

func (s *story) conclude(t *rapid.T) {
	a := s.thing(t).newest()
	result := anyOf(provision.ResultSucceeded, provision.ResultFailed).Draw(t, "result")
	s.asked(t, "conclude", a, a.conclude(result), func(r *provision.Record) error { return r.Conclude(pat, result, "seen by hand", nil) })
}

// thing is an instance, the newest most likely.
func (s *story) thing(t *rapid.T) *thing {
	return s.things[len(s.things)-1-rapid.IntRange(0, len(s.things)-1).Draw(t, "instance")]
}

// run is one of any instance, the newest most likely.
func (s *story) run(t *rapid.T) *execution {
	runs := s.runs()
	return runs[len(runs)-1-rapid.IntRange(0, len(runs)-1).Draw(t, "run")]
}

func (s *story) runs() (all []*execution) {
	for _, i := range s.things {
		for _, a := range i.asks {
			all = append(all, a.runs...)
		}
	}
	return all
}

// rowsSQL are an owner's rows as sentences, and what their events tell: 1..n
// without gap, the states they lead to, how often it was applied and succeeded.
const rowsSQL = `
	WITH told AS (
		SELECT e.subject_id, min(e.sequence) = 1 AND max(e.sequence) = count(*) AS whole, count(*) AS n,
		       (array_agg(e.data->>'state' ORDER BY e.sequence DESC) FILTER (WHERE e.entity IN ('request', 'instance') AND e.data ? 'state'))[1] AS state,
		       count(*) FILTER (WHERE e.entity = 'request' AND e.verb = 'applying') AS applied,
		       count(*) FILTER (WHERE e.entity = 'request' AND e.verb = 'succeeded') AS succeeded,
		       count(*) FILTER (WHERE e.entity = 'run' AND e.verb = 'started') AS claims,
		       max((e.data->>'fence')::bigint) FILTER (WHERE e.entity = 'run' AND e.verb = 'started') AS fence
		  FROM events e
		 WHERE e.subject_id IN (SELECT id FROM instances WHERE owner = @owner UNION ALL SELECT id FROM requests WHERE owner = @owner)
		 GROUP BY e.subject_id)
	SELECT format('instance %s is %s, told %s in %s events, generation %s, fence %s told %s in %s claims, reserved %s, committed %s',
	              i.id, i.state, COALESCE(t.state, 'reserved'), CASE WHEN t.whole AND t.n = i.sequence THEN 'all' ELSE 'torn' END, i.generation, i.fence,
	              (SELECT COALESCE(max(c.fence), 0) FROM requests r JOIN told c ON c.subject_id = r.id WHERE r.instance_id = i.id),
	              (SELECT COALESCE(sum(c.claims), 0) FROM requests r JOIN told c ON c.subject_id = r.id WHERE r.instance_id = i.id),
	              i.reserved_mills, i.committed_mills)
	  FROM instances i JOIN told t ON t.subject_id = i.id WHERE i.owner = @owner
	 UNION ALL
	SELECT format('request %s is %s, told %s in %s events, generation %s, cancelled %s, applied %s, succeeded %s',
	              r.id, r.state, t.state, CASE WHEN t.whole AND t.n = r.sequence THEN 'all' ELSE 'torn' END, r.generation, r.cancel_reason <> '', t.applied, t.succeeded)
	  FROM requests r JOIN told t ON t.subject_id = r.id WHERE r.owner = @owner
	 UNION ALL
	SELECT format('run %s is %s, worker %s, fence %s, report %s, silent %s', u.id, u.state, u.worker, u.fence, u.report_sequence, COALESCE(u.lease_expires_at <= now(), false))
	  FROM runs u JOIN requests r ON r.id = u.request_id WHERE r.owner = @owner
	 UNION ALL
	SELECT format('balance %s and %s', b.reserved_mills, b.committed_mills) FROM balances b WHERE b.kind = 'team' AND b.name = @owner`

// compare holds the rows to the reference, and the reference to what may never be.
func (s *story) compare(t *rapid.T) {
	rows, err := s.conn.Query(t.Context(), rowsSQL, pgx.NamedArgs{"owner": s.owner})
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	var reserved, committed provision.Money
	for _, i := range s.things {
		reserved, committed = reserved+i.reserved, committed+i.committed
		for _, line := range i.lines() {
			want[line] = true
		}
		live := 0
		for _, a := range i.asks {
			s.reached[a.state]++
			if !a.state.Terminal() {
				live++
			}
		}
		if live > 1 {
			t.Fatalf("instance %s has %d live requests", i.id, live)
		}
	}
	if len(s.things) > 0 {
		want[fmt.Sprintf("balance %d and %d", reserved, committed)] = true
	}
	slices.Sort(got)
	if lines := slices.Sorted(maps.Keys(want)); !slices.Equal(lines, got) {
		t.Fatalf("rows (-reference +store):\n%s", cmp.Diff(lines, got))
	}
	var wrong string
	if err := s.conn.QueryRow(t.Context(), uncountedSQL).Scan(&wrong); err != nil || wrong != "" {
		t.Fatalf("balances are not the sums over the instances: %s (%v)", wrong, err)
	}
}
