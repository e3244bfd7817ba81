package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) getMeasures(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	days := 30
	if text := r.URL.Query().Get("days"); text != "" {
		var err error
		if days, err = strconv.Atoi(text); err != nil {
			return provision.Errorf(provision.Invalid, "days is %s; it must be from 1 to 366", quoted(text))
		}
	}
	measures, err := s.Service.Measures(r.Context(), days)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, measuresView(measures))
}

func (s *Server) importTickets(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	if _, err := idempotencyKey(r, false); err != nil {
		return err
	}
	var body api.TicketImport
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	tickets := make([]provision.TicketCount, len(body.Items))
	kept := api.TicketsKept{Days: len(body.Items)}
	for i, item := range body.Items {
		tickets[i] = provision.TicketCount{Day: provision.Day(item.Date), Count: item.Count}
		kept.Tickets += item.Count
	}
	if err := s.Service.ImportTickets(r.Context(), p, tickets); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, kept)
}

func measuresView(m provision.Measures) api.Measures {
	v := api.Measures{
		Days: m.Window.Days, From: m.Window.From, Until: m.Window.Until,
		Cards: measureViews(m.Cards), More: measureViews(m.More),
	}
	if !m.Since.IsZero() {
		v.Since = new(time.Time)
		*v.Since = m.Since
	}
	return v
}

func measureViews(measures []provision.Measure) []api.Measure {
	views := make([]api.Measure, len(measures))
	for i, m := range measures {
		views[i] = api.Measure{
			Name: m.Name, Title: m.Title, Definition: m.Definition, Unit: m.Unit, Value: m.Value, Why: m.Why, Before: m.Before,
			Trend: api.MeasureTrend(m.Trend()), Better: api.MeasureBetter(m.Better), Parts: []api.MeasurePart{}, Days: []api.MeasureDay{},
		}
		for _, p := range m.Parts {
			views[i].Parts = append(views[i].Parts, api.MeasurePart{Name: p.Name, Unit: p.Unit, Value: p.Value})
		}
		for _, d := range m.Days {
			views[i].Days = append(views[i].Days, api.MeasureDay{
				Date: string(d.Day), Value: d.Value, Median: d.Median, P95: d.Percentile, Count: d.Count,
			})
		}
	}
	return views
}
