package provision

import (
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
