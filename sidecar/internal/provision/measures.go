package provision

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Day is a UTC day as YYYY-MM-DD, so that days compare as text does.
type Day string

// DayOf is the UTC day that t is in.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// MeasureWindow is what measures are taken over: Days UTC days, the last of
// which is the one that Until is in, as far as it has passed.
type MeasureWindow struct {
	Days  int
	From  time.Time // midnight UTC
	Until time.Time // exclusive
}

// NewMeasureWindow is the window of days that ends at now. Fewer than 1 or more
// than 366 days are Invalid.
func NewMeasureWindow(days int, now time.Time) (MeasureWindow, error) {
	if days < 1 || days > 366 {
		return MeasureWindow{}, Errorf(Invalid, "days is %d; it must be from 1 to 366", days)
	}
	now = now.UTC()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	return MeasureWindow{Days: days, From: today.AddDate(0, 0, 1-days), Until: now}, nil
}

// Before is the window of the same length that ends as far into its last day
// as w does, so that a day that has not ended is compared with as much of one.
func (w MeasureWindow) Before() MeasureWindow {
	return MeasureWindow{Days: w.Days, From: w.From.AddDate(0, 0, -w.Days), Until: w.Until.AddDate(0, 0, -w.Days)}
}

// days are the window's days in order.
func (w MeasureWindow) days() []Day {
	days := make([]Day, w.Days)
	for i := range days {
		days[i] = DayOf(w.From.AddDate(0, 0, i))
	}
	return days
}

// Tally counts the requests that ended in a window or on a day.
type Tally struct {
	Created                   int      // creates that succeeded
	CreatedFreely             int      // of these, the ones that needed nobody's approval
	Mean, Median, Percentile  *float64 // minutes from ask to success of Created; nil when there are none; Percentile is the 95th, interpolated
	Served                    int      // requests by people, of any action, that succeeded
	Blocked                   int      // requests that policy denied
	Answered                  int      // requests that had to wait for a person's approval, whatever came of them
	Smaller, Lowered, Removed Money    // a month, saved by: a smaller ask after a denial; a change; a destroy
}

// Saved is what all of a tally saves, a month.
func (t Tally) Saved() Money { return t.Smaller + t.Lowered + t.Removed }

// Counts are what a store counts for measures, all of one moment.
type Counts struct {
	Window, Before Tally
	Days           map[Day]Tally // of both windows and what is between them; a day without requests is absent
	Tickets        map[Day]int   // likewise, as imported
	TicketsFrom    Day           // the first day that tickets were ever imported for; "" when none were
	TicketsUntil   Day           // the last
	BlockedBy      []BlockedBy   // of the window, most first, at most 5
	Active         int           // instances that exist: ready, changing, incomplete or being destroyed
	ActiveCost     Money         // their price a month, as far as it is known
	ActiveTagged   int           // of these, the ones that have an owner and a cost centre
	Since          time.Time     // when the first request was made; zero when there is none
	Drift          DriftCounts
	Ran            []Ran // the newest that succeeded, however long ago
}

// DriftCounts are what was told of drift.
type DriftCounts struct {
	Checked        bool // a check has told how an instance is
	Window, Before int  // times that drift was detected
	Days           map[Day]int
	Now            int       // instances that differ now
	Since          time.Time // when drift was first told of; zero when it never was
}

// BlockedBy is how many requests a rule denied.
type BlockedBy struct {
	Rule     string
	Requests int
}

// TicketCount is how many tickets a day had.
type TicketCount struct {
	Day   Day
	Count int
}

// Unit is what a measure's numbers are.
type Unit string

// The units.
const (
	Minutes       Unit = "minutes"
	Share         Unit = "share" // from 0 to 1
	DollarsAMonth Unit = "dollars_a_month"
	Number        Unit = "count"
)

const (
	betterUp   = "up"
	betterDown = "down"

	largestTickets = 1_000_000 // a day; more is a mistake
	mostTicketDays = 1000      // an import
)

// Measure is one number about how the platform fares.
type Measure struct {
	Name       string
	Title      string
	Unit       Unit
	Value      *float64 // nil when it is not measured; Why says why
	Why        string   // also what a value leaves out; "" when there is nothing to say
	Before     *float64 // the same of the window before; nil when there is nothing to compare with
	Better     string   // "up" or "down": the way that is good; "" when neither is
	Parts      []MeasurePart
	Days       []MeasureDay // of the window in order, nil when it has no such series
	Definition string       // one sentence
}

// MeasurePart is a number that belongs to a measure.
type MeasurePart struct {
	Name  string
	Unit  Unit
	Value float64
}

// MeasureDay is a measure of one day. A Value of nil is a day without any.
type MeasureDay struct {
	Day        Day
	Value      *float64
	Median     *float64 // of times alone
	Percentile *float64 // the 95th, of times alone
	Count      int      // how many requests the value is made of
}

// Measures are every measure over a window.
type Measures struct {
	Window MeasureWindow
	Since  time.Time // when Roadbed's history begins; zero when there is none
	Cards  []Measure // the six of the overview
	More   []Measure
}

// sameWithin is how little of the value before a change may be and still be none.
const sameWithin = 0.01

// Trend is "up", "down" or "same" against the window before, "" when there is
// nothing to compare. A change of less than a hundredth is the same.
func (m Measure) Trend() string {
	switch {
	case m.Value == nil || m.Before == nil:
		return ""
	case *m.Value == *m.Before || math.Abs(*m.Value-*m.Before) < sameWithin*math.Abs(*m.Before):
		return "same"
	case *m.Value > *m.Before:
		return betterUp
	default:
		return betterDown
	}
}

// Measures are how the platform fares over the last days, today included. Any
// signed-in user may see them: they are totals and name no team.
func (s *Service) Measures(ctx context.Context, days int) (Measures, error) {
	w, err := NewMeasureWindow(days, s.Now())
	if err != nil {
		return Measures{}, err
	}
	c, err := s.Store.Measure(ctx, w)
	if err != nil {
		return Measures{}, err
	}
	return Measured(w, c), nil
}

// Measured makes measures of what was counted. Where the history does not cover
// the whole window before, nothing is compared with it.
func Measured(w MeasureWindow, c Counts) Measures {
	m := Measures{
		Window: w, Since: c.Since,
		Cards: []Measure{provisionTime(w, c), adoption(w, c), savings(w, c), active(c), drift(w, c), violations(w, c)},
		More:  []Measure{withinGuardrails(c), neededAPerson(c), PromiseKept(w, c), tagged(c)},
	}
	if c.Since.IsZero() || c.Since.After(w.Before().From) {
		for _, measures := range [][]Measure{m.Cards, m.More} {
			for i := range measures {
				measures[i].Before = nil
			}
		}
	}
	return m
}

func provisionTime(w MeasureWindow, c Counts) Measure {
	m := Measure{
		Name: "provision_time", Title: "Avg. provision time", Unit: Minutes, Better: betterDown,
		Definition: "Mean minutes from the ask to success of the creates that succeeded in the window, waiting for approval and for a worker included.",
		Value:      c.Window.Mean, Before: c.Before.Mean,
	}
	if m.Value == nil {
		m.Why = "Nothing was created in this time."
	} else {
		m.Parts = []MeasurePart{{"median", Minutes, *c.Window.Median}, {"p95", Minutes, *c.Window.Percentile}, {"created", Number, float64(c.Window.Created)}}
	}
	for _, day := range w.days() {
		t := c.Days[day]
		m.Days = append(m.Days, MeasureDay{day, t.Mean, t.Median, t.Percentile, t.Created})
	}
	return m
}

// adoption divides what Roadbed served by that and the tickets, both of the
// same days: those of the window that tickets were imported for, from the first
// day of all imports to the last. Where none ever were, every day counts and no
// ticket is known of.
func adoption(w MeasureWindow, c Counts) Measure {
	m := Measure{
		Name: "adoption", Title: "Self-service adoption", Unit: Share, Better: betterUp,
		Definition: "Requests by people that succeeded, divided by these and the tickets of the same days; 1 when there were no tickets.",
	}
	var served, tickets, covered int
	for _, day := range w.days() {
		value, ok := c.adoptionOn(day)
		if !ok {
			m.Days = append(m.Days, MeasureDay{Day: day})
			continue
		}
		covered++
		served, tickets = served+c.Days[day].Served, tickets+c.Tickets[day]
		m.Days = append(m.Days, MeasureDay{Day: day, Value: value, Count: c.Days[day].Served + c.Tickets[day]})
	}
	switch {
	case c.TicketsFrom == "":
		m.Why = "No tickets have been imported, so none are counted."
	case covered == 0:
		m.Why = fmt.Sprintf("Tickets are imported from %s to %s only; import those of this time.", c.TicketsFrom, c.TicketsUntil)
		return m
	case covered < w.Days:
		m.Why = fmt.Sprintf("Counted over %d of %d days: those that tickets are imported for.", covered, w.Days)
	}
	m.Value = adopted(served, tickets)
	m.Parts = []MeasurePart{{"self_service", Number, float64(served)}, {"tickets", Number, float64(tickets)}}

	// Whole days, as tickets have: the window before ends where this one begins.
	var servedBefore, ticketsBefore, coveredBefore int
	for _, day := range w.Before().days() {
		if c.covers(day) {
			coveredBefore++
			servedBefore, ticketsBefore = servedBefore+c.Days[day].Served, ticketsBefore+c.Tickets[day]
		}
	}
	if coveredBefore > 0 {
		m.Before = adopted(servedBefore, ticketsBefore)
	}
	return m
}

// covers reports whether a day's tickets are known, be it that there were none.
func (c Counts) covers(day Day) bool {
	return c.TicketsFrom == "" || c.TicketsFrom <= day && day <= c.TicketsUntil
}

// adoptionOn is a day's adoption, nil when nothing was asked for; ok is false
// when its tickets are not known.
func (c Counts) adoptionOn(day Day) (value *float64, ok bool) {
	if !c.covers(day) {
		return nil, false
	}
	if c.Days[day].Served+c.Tickets[day] == 0 {
		return nil, true
	}
	return adopted(c.Days[day].Served, c.Tickets[day]), true
}

func adopted(served, tickets int) *float64 {
	if tickets == 0 {
		return number(1)
	}
	return number(float64(served) / float64(served+tickets))
}

func savings(w MeasureWindow, c Counts) Measure {
	m := Measure{
		Name: "savings", Title: "Monthly cost savings", Unit: DollarsAMonth, Better: betterUp,
		Definition: "What is paid less each month because of the window: smaller asks after a denial, changes that lowered a price, and destroys of what had one.",
		Value:      dollars(c.Window.Saved()), Before: dollars(c.Before.Saved()),
		Parts: []MeasurePart{
			{"smaller_asks", DollarsAMonth, *dollars(c.Window.Smaller)},
			{"lowered", DollarsAMonth, *dollars(c.Window.Lowered)},
			{"removed", DollarsAMonth, *dollars(c.Window.Removed)},
		},
	}
	for _, day := range w.days() {
		m.Days = append(m.Days, MeasureDay{Day: day, Value: dollars(c.Days[day].Saved())})
	}
	return m
}

func active(c Counts) Measure {
	return Measure{
		Name: "active", Title: "Active resources", Unit: Number,
		Definition: "Instances that exist now: ready, changing, incomplete or being destroyed.",
		Value:      number(c.Active), Parts: []MeasurePart{{"monthly_cost", DollarsAMonth, *dollars(c.ActiveCost)}},
	}
}

// drift compares only with a window in which drift was told of already: before
// checks began there was none to count, which is not the same as none.
func drift(w MeasureWindow, c Counts) Measure {
	m := Measure{
		Name: "drift", Title: "Drift incidents", Unit: Number, Better: betterDown,
		Definition: "Differences from what was asked for that checks found in the window; one that stays counts once.",
	}
	if !c.Drift.Checked {
		m.Why = "Nothing has been checked for drift yet."
		return m
	}
	m.Value = number(c.Drift.Window)
	m.Parts = []MeasurePart{{"differ_now", Number, float64(c.Drift.Now)}}
	if !c.Drift.Since.IsZero() && !c.Drift.Since.After(w.Before().From) {
		m.Before = number(c.Drift.Before)
	}
	for _, day := range w.days() {
		m.Days = append(m.Days, MeasureDay{Day: day, Value: number(c.Drift.Days[day]), Count: c.Drift.Days[day]})
	}
	return m
}

func violations(w MeasureWindow, c Counts) Measure {
	m := Measure{
		Name: "violations", Title: "Policy violations", Unit: Number, Better: betterDown,
		Definition: "Requests that policy denied in the window; what the form refuses before anyone asks is not counted.",
		Value:      number(c.Window.Blocked), Before: number(c.Before.Blocked),
	}
	for _, b := range c.BlockedBy {
		m.Parts = append(m.Parts, MeasurePart{b.Rule, Number, float64(b.Requests)})
	}
	for _, day := range w.days() {
		m.Days = append(m.Days, MeasureDay{Day: day, Value: number(c.Days[day].Blocked), Count: c.Days[day].Blocked})
	}
	return m
}

func withinGuardrails(c Counts) Measure {
	m := Measure{
		Name: "within_guardrails", Title: "Created within guardrails", Unit: Share, Better: betterUp,
		Definition: "Of the creates that succeeded in the window, the share that needed nobody's approval.",
		Value:      share(c.Window.CreatedFreely, c.Window.Created), Before: share(c.Before.CreatedFreely, c.Before.Created),
	}
	if m.Value == nil {
		m.Why = "Nothing was created in this time."
	}
	return m
}

func neededAPerson(c Counts) Measure {
	return Measure{
		Name: "needed_a_person", Title: "Requests that needed a person", Unit: Number, Better: betterDown,
		Definition: "Requests that ended in the window and had to wait for someone's approval, whatever the answer was.",
		Value:      number(c.Window.Answered), Before: number(c.Before.Answered),
	}
}

func tagged(c Counts) Measure {
	m := Measure{
		Name: "tagged", Title: "Properly tagged", Unit: Share,
		Definition: "Of the instances that exist now, the share that has an owner and a cost centre.",
		Value:      share(c.ActiveTagged, c.Active),
	}
	if m.Value == nil {
		m.Why = "Nothing exists yet."
	}
	return m
}

// share is nil of nothing.
func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	return number(float64(part) / float64(whole))
}

func number[N int | float64](n N) *float64 {
	f := float64(n)
	return &f
}

func dollars(m Money) *float64 { return number(float64(m) / float64(Dollar)) }

// ImportTickets keeps how many tickets each day had; a day that was imported
// before has the new number. Only the platform team may. Every fault at once is
// Invalid, and then nothing is kept. It may be repeated.
func (s *Service) ImportTickets(ctx context.Context, p Principal, tickets []TicketCount) error {
	if err := s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbImportTickets}); err != nil {
		return err
	}
	faults := TicketFaults(tickets, DayOf(s.Now()))
	if len(faults) > 0 {
		err := Errorf(Invalid, "%s", faults[0].Message)
		err.Details = faults
		return err
	}
	return s.Store.ImportTickets(ctx, p.Subject, tickets)
}

// TicketFaults is everything that is wrong with an import on a day, in order.
func TicketFaults(tickets []TicketCount, today Day) []Fault {
	switch {
	case len(tickets) == 0:
		return []Fault{{"/items", "there is no day to import; give at least one date with its count"}}
	case len(tickets) > mostTicketDays:
		return []Fault{{"/items", fmt.Sprintf("%d days are too many at once; import at most %d", len(tickets), mostTicketDays)}}
	}
	var faults []Fault
	seen := map[Day]bool{}
	for i, t := range tickets {
		at := fmt.Sprintf("/items/%d/", i)
		parsed, err := time.Parse(time.DateOnly, string(t.Day))
		switch {
		case err != nil:
			faults = append(faults, Fault{at + "date", fmt.Sprintf("%q is not a date; write it as 2026-01-31", t.Day)})
		case parsed.Year() < 1970:
			faults = append(faults, Fault{at + "date", fmt.Sprintf("%s is before 1970", t.Day)})
		case t.Day > today:
			faults = append(faults, Fault{at + "date", fmt.Sprintf("%s is in the future; today is %s (UTC)", t.Day, today)})
		case seen[t.Day]:
			faults = append(faults, Fault{at + "date", fmt.Sprintf("%s is there twice; give each date once", t.Day)})
		}
		seen[t.Day] = true
		if t.Count < 0 || t.Count > largestTickets {
			faults = append(faults, Fault{at + "count", fmt.Sprintf("%d is not a number of tickets; it must be from 0 to %d", t.Count, largestTickets)})
		}
	}
	return faults
}
