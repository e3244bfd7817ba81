package postgres_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// past writes a history whose times are fixed: it lives each request through the
// store and then sets when that was.
type past struct {
	t     *testing.T
	store *postgres.Store
	conn  *pgx.Conn
}

func newPast(t *testing.T, dsn string) past {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return past{t, openDSN(t, dsn), conn}
}

func (p past) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.conn.Exec(p.t.Context(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

// was sets when a request was asked for and ended, and its price a month.
func (p past) was(id uuid.UUID, asked, ended string, price provision.Money) {
	p.t.Helper()
	p.exec(`UPDATE requests SET created_at = $2::timestamptz, finished_at = $3::timestamptz, monthly_cost_mills = $4 WHERE id = $1`,
		id, asked+"Z", ended+"Z", int64(price))
}

// created is a create that succeeded.
func (p past) created(name, asked, ended string, price provision.Money, edit func(*provision.Request)) *provision.Record {
	p.t.Helper()
	record := ready(p.t, p.store, accept(p.t, p.store, testkit.Created(name, edit)).Request.ID)
	p.was(record.Request.ID, asked, ended, price)
	p.exec(`UPDATE instances SET monthly_cost_mills = $2 WHERE id = $1`, record.Instance.ID, int64(price))
	return record
}

// refused is a create that policy denied, or that conflicted when conflict is not empty.
func (p past) refused(name, asked string, price provision.Money, conflict string) {
	p.t.Helper()
	request := testkit.NewRequest(name)
	if conflict == "" {
		request.Verdict = testkit.Denial()
	}
	record := provision.Refused(request, conflict, time.Now())
	if err := p.store.Refuse(p.t.Context(), record); err != nil {
		p.t.Fatal(err)
	}
	p.was(record.Request.ID, asked, asked, price)
}

// followed is a later request for an instance, which succeeded.
func (p past) followed(action provision.Action, of *provision.Record, by, asked, ended string, price provision.Money) {
	p.t.Helper()
	instance, err := p.store.Instance(p.t.Context(), of.Instance.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	record := ready(p.t, p.store, accept(p.t, p.store, testkit.Destroyed(instance)).Request.ID)
	p.was(record.Request.ID, asked, ended, price)
	p.exec(`UPDATE requests SET action = $2, requested_by = $3 WHERE id = $1`, record.Request.ID, string(action), by)
	if action != provision.Destroy {
		p.exec(`UPDATE instances SET state = 'ready', gone_at = NULL, monthly_cost_mills = $2 WHERE id = $1`, instance.ID, int64(price))
	}
}

var measuredAt = time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)

func window(t *testing.T, days int) provision.MeasureWindow {
	t.Helper()
	w, err := provision.NewMeasureWindow(days, measuredAt)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fixedHistory is three days from 8 March to 10 March 15:00, and the three before.
func fixedHistory(p past) {
	const dollar = provision.Dollar
	approved := func(r *provision.Request) { r.Approval = &provision.Approval{} }

	p.created("first", "2026-03-01T09:00", "2026-03-01T09:01", 10*dollar, nil) // history begins here
	p.refused("cart", "2026-03-02T10:00", 400*dollar, "")                      // more than a week before cart is created

	p.created("f", "2026-03-04T23:50", "2026-03-05T00:00", 10*dollar, nil) // 10 min; the first instant of the window before
	p.created("g", "2026-03-07T14:39", "2026-03-07T14:59", 10*dollar, nil) // 20 min; just inside its end
	p.created("h", "2026-03-07T15:00", "2026-03-07T15:30", 10*dollar, nil) // after its end, yet on its last day
	p.refused("late", "2026-03-07T16:00", 900*dollar, "")                  // likewise
	p.refused("wide", "2026-03-06T10:00", 900*dollar, "")

	ann := p.created("ann", "2026-03-07T23:58", "2026-03-08T00:00", 85_500, nil) // 2 min; the first instant of the window
	p.refused("bill", "2026-03-08T23:50", 200*dollar, "")
	p.created("bill", "2026-03-08T23:55:30", "2026-03-08T23:59:30", 85_500, nil)                             // 4 min; $114.50 less than was denied
	p.refused("taken", "2026-03-09T08:00", 10*dollar, "'taken' already exists")                              // a conflict is no violation
	p.followed(provision.Destroy, ann, "system:expiry", "2026-03-09T11:59", "2026-03-09T12:00", 0)           // $85.50; nobody asked for it
	cart := p.created("cart", "2026-03-10T14:53", "2026-03-10T14:59", 120*dollar, nil)                       // 6 min
	p.followed("update", cart, "user:default/ann", "2026-03-10T14:59:10", "2026-03-10T14:59:20", 90*dollar)  // $30
	p.followed("update", cart, "user:default/ann", "2026-03-10T14:59:30", "2026-03-10T14:59:40", 150*dollar) // dearer: saves nothing
	p.created("dear", "2026-03-10T12:20", "2026-03-10T14:00", 300*dollar, approved)                          // 100 min
	p.created("next", "2026-03-10T14:10", "2026-03-10T15:00", 10*dollar, nil)                                // ends when the window has ended
}

func TestMeasuresOfAFixedHistory(t *testing.T) {
	t.Parallel()
	// The days are UTC's, whatever the connection thinks.
	for _, zone := range []string{"UTC", "Pacific/Auckland"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			p := newPast(t, testkit.Database(t)+"&timezone="+zone)
			fixedHistory(p)
			c, err := p.store.Measure(t.Context(), window(t, 3))
			if err != nil {
				t.Fatal(err)
			}
			want := provision.Counts{
				Window: provision.Tally{
					Created: 4, CreatedFreely: 3, Mean: of(28), Median: of(5), Percentile: of(6 + 0.85*94), // of 2, 4, 6, 100
					Served: 6, Blocked: 1, Answered: 1, Smaller: 114_500, Lowered: 30_000, Removed: 85_500,
				},
				Before: provision.Tally{
					Created: 2, CreatedFreely: 2, Mean: of(15), Median: of(15), Percentile: of(19.5), Served: 2, Blocked: 1,
				},
				Days: map[provision.Day]provision.Tally{
					"2026-03-05": {Created: 1, CreatedFreely: 1, Mean: of(10), Median: of(10), Percentile: of(10), Served: 1},
					"2026-03-06": {Blocked: 1},
					"2026-03-07": {Created: 2, CreatedFreely: 2, Mean: of(25), Median: of(25), Percentile: of(29.5), Served: 2, Blocked: 1},
					"2026-03-08": {Created: 2, CreatedFreely: 2, Mean: of(3), Median: of(3), Percentile: of(3.9), Served: 2, Blocked: 1, Smaller: 114_500},
					"2026-03-09": {Removed: 85_500},
					"2026-03-10": {Created: 2, CreatedFreely: 1, Mean: of(53), Median: of(53), Percentile: of(6 + 0.95*94), Served: 4, Answered: 1, Lowered: 30_000},
				},
				Tickets:   map[provision.Day]int{},
				Drift:     provision.DriftCounts{Days: map[provision.Day]int{}},
				BlockedBy: []provision.BlockedBy{{Rule: "backup", Requests: 1}, {Rule: "size", Requests: 1}},
				Active:    8, ActiveTagged: 8, // all but ann, which is gone
				ActiveCost: 40_000 + 85_500 + 150_000 + 300_000 + 10_000,
				Since:      time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
			}
			if diff := cmp.Diff(want, c, cmpopts.EquateApprox(0, 1e-9), cmpopts.IgnoreFields(provision.Counts{}, "Ran")); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			if n := len(c.Ran); n == 0 || !strings.HasPrefix(c.Ran[0].Kind, "postgres-database ") || c.Ran[0].Ended.Before(c.Ran[n-1].Ended) || c.Ran[0].Began.IsZero() {
				t.Errorf("ran %+v, want all that succeeded, newest first", c.Ran)
			}
		})
	}
}

func of(f float64) *float64 { return &f }

func TestMeasuresOfNothing(t *testing.T) {
	t.Parallel()
	c, err := open(t).Measure(t.Context(), window(t, 30))
	if err != nil {
		t.Fatal(err)
	}
	want := provision.Counts{
		Days: map[provision.Day]provision.Tally{}, Tickets: map[provision.Day]int{}, BlockedBy: []provision.BlockedBy{},
		Drift: provision.DriftCounts{Days: map[provision.Day]int{}}, Ran: []provision.Ran{},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestDriftIsCountedOnceForEachThatWasTold(t *testing.T) {
	t.Parallel()
	p := newPast(t, testkit.Database(t))
	i := checkable(t, p.store, "orders")
	check := func(found []provision.Difference, at string) {
		t.Helper()
		changeDrift(t, p.store, i.ID, func(r *provision.DriftRecord) error {
			if err := r.Claim("w1", "digest", minute); err != nil {
				return err
			}
			r.Finish(found, "", time.Hour)
			return nil
		})
		p.exec(`UPDATE events SET at = $1::timestamptz WHERE entity = 'drift' AND at > '2026-03-11Z'`, at+"Z")
	}
	check(nil, "2026-03-01T08:00") // nothing is told of what is as it should be
	check(oneDifference("a"), "2026-03-01T09:00")
	check(oneDifference("b"), "2026-03-05T00:00")
	check(oneDifference("b"), "2026-03-06T00:00") // the same, so it is no news
	check(oneDifference("c"), "2026-03-07T16:00") // between the windows
	check(oneDifference("d"), "2026-03-08T00:00")
	check(nil, "2026-03-09T00:00")
	check(oneDifference("d"), "2026-03-10T14:59") // back again
	c, err := p.store.Measure(t.Context(), window(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	want := provision.DriftCounts{
		Checked: true, Window: 2, Before: 1, Now: 1, Since: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		Days: map[provision.Day]int{"2026-03-05": 1, "2026-03-07": 1, "2026-03-08": 1, "2026-03-10": 1},
	}
	if diff := cmp.Diff(want, c.Drift); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
}

// The founding document divided this month's requests by last month's tickets.
func TestAdoptionTakesRequestsAndTicketsOfTheSameDays(t *testing.T) {
	t.Parallel()
	p := newPast(t, testkit.Database(t))
	fixedHistory(p)
	steps := []struct {
		name    string
		tickets []provision.TicketCount
		value   float64 // NaN: not measured
		before  float64
		why     string
	}{
		{"no tickets are no tickets", nil, 1, 1, "No tickets have been imported, so none are counted."},
		{
			"tickets of other times measure nothing", []provision.TicketCount{{Day: "2026-02-01", Count: 500}, {Day: "2026-02-02", Count: 1}},
			math.NaN(), math.NaN(), "Tickets are imported from 2026-02-01 to 2026-02-02 only; import those of this time.",
		},
		{
			// 8 March: 2 served, 1 ticket. 5 to 7 March: 3 served, 2 tickets.
			"requests of days without an import do not count", []provision.TicketCount{{Day: "2026-03-08", Count: 1}, {Day: "2026-03-05", Count: 2}},
			2. / 3, 3. / 5, "Counted over 1 of 3 days: those that tickets are imported for.",
		},
		{
			"a day between imports had no tickets", []provision.TicketCount{{Day: "2026-03-10", Count: 5}},
			6. / 12, 3. / 5, "",
		},
		{
			"a second import of a day replaces the first", []provision.TicketCount{{Day: "2026-03-10", Count: 2}, {Day: "2026-03-08", Count: 0}},
			6. / 8, 3. / 5, "",
		},
	}
	for _, step := range steps {
		if step.tickets != nil {
			if err := p.store.ImportTickets(t.Context(), "user:default/pat", step.tickets); err != nil {
				t.Fatal(err)
			}
		}
		c, err := p.store.Measure(t.Context(), window(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		m := provision.Measured(window(t, 3), c).Cards[1]
		if got, before := orNaN(m.Value), orNaN(m.Before); !same(got, step.value) || !same(before, step.before) || m.Why != step.why {
			t.Errorf("%s: %v after %v, %q; want %v after %v, %q", step.name, got, before, m.Why, step.value, step.before, step.why)
		}
	}
}

func orNaN(f *float64) float64 {
	if f == nil {
		return math.NaN()
	}
	return *f
}

func same(a, b float64) bool { return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9 }
