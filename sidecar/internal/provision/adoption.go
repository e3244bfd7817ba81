package provision

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
)

// Adopted are the parameters that change when the actual values of an instance's
// drift become what is asked for; null takes one back to its default. It is a Conflict, saying why, when a
// difference is the value of no parameter alone.
func Adopted(o Offering, i Instance) (Parameters, error) {
	if i.Drift == nil {
		return nil, Errorf(Conflict, "%s has no drift to adopt", i.Name)
	}
	if i.Drift.Generation != i.Generation {
		return nil, Errorf(Conflict, "a request came since %s was checked; have it checked again first", i.Name)
	}
	if i.Drift.More > 0 {
		return nil, Errorf(Conflict, "%s differs in too much to adopt; revert it", i.Name)
	}
	after, given := maps.Clone(i.Parameters), Parameters{}
	for _, d := range i.Drift.Differences {
		if err := d.adopt(o, after); err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(d.Parameter, ".")
		given[name] = after[name]
	}
	return given, nil
}

// adopt sets the difference's parameter to what is.
func (d Difference) adopt(o Offering, after Parameters) error {
	name, member, isMember := strings.Cut(d.Parameter, ".")
	parameter, ok := o.Parameter(name)
	switch {
	case d.Kind != DriftChanged || d.Parameter == "":
		return Errorf(Conflict, "%s: no parameter alone sets that, so it cannot be adopted; revert it", d.Title())
	case !ok || parameter.Sensitive:
		return Errorf(Conflict, "%s: parameter %s cannot be adopted; revert it", d.Title(), name)
	case parameter.Immutable:
		return Errorf(Conflict, "%s: %s cannot be changed once it is made; revert it", d.Title(), parameter.Title)
	case !isMember:
		after[name] = d.Actual
		return nil
	}
	was, _ := after[name].(map[string]any)
	members := maps.Clone(was)
	if members == nil {
		members = map[string]any{}
	}
	switch d.Actual.(type) {
	case nil:
		delete(members, member)
	case string:
		members[member] = d.Actual
	default:
		members[member] = fmt.Sprint(d.Actual)
	}
	after[name] = members
	return nil
}

// differenceOf is what adopting differences would cost more a month; nil when
// one of them cannot be adopted or has no price.
func (s *Service) differenceOf(ctx context.Context, found []DriftFound) *Money {
	var sum Money
	for _, f := range found {
		offering, _, err := s.Store.Bundle(ctx, f.Instance.OfferingDigest)
		if err != nil {
			return nil
		}
		after := maps.Clone(f.Instance.Parameters)
		if f.Difference.adopt(offering, after) != nil {
			return nil
		}
		was, err1 := s.Judge.Prices.Price(offering, f.Instance.Shown())
		is, err2 := s.Judge.Prices.Price(offering, unsealed(after))
		if err1 != nil || err2 != nil {
			return nil
		}
		sum += is.MonthlyCost - was.MonthlyCost
	}
	return &sum
}

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
