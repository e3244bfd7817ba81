package provision

import (
	"context"
	"fmt"
)

const (
	betterUp   = "up"
	betterDown = "down"

	largestTickets = 1_000_000 // a day; more is a mistake
	mostTicketDays = 1000      // an import
)

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
