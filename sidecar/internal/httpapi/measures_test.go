package httpapi_test

import (
	"net/http"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestMeasuresOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.submit("orders")
	if _, err := r.as(ann).Submit(t.Context(), "dear", func() api.Submission {
		s := database("dear")
		s.Parameters["multi_az"] = true
		return s
	}()); provision.KindOf(err) != provision.Denied {
		t.Fatalf("submit = %v, want a denial", err)
	}
	today := string(provision.DayOf(r.service.Now()))
	if kept, err := r.as(pat).ImportTickets(t.Context(), []api.TicketCount{{Date: today, Count: 3}}); err != nil || kept != (api.TicketsKept{Days: 1, Tickets: 3}) {
		t.Fatalf("import = %+v, %v", kept, err)
	}
	got, err := r.as(bob).Measures(t.Context(), 7) // of no team that asked for anything
	if err != nil {
		t.Fatal(err)
	}
	cards := map[string]api.Measure{}
	for _, c := range got.Cards {
		cards[c.Name] = c
	}
	if len(got.Cards) != 6 || got.Since == nil || len(cards["violations"].Days) != 7 {
		t.Fatalf("measures are %+v", got)
	}
	if v := cards["violations"]; *v.Value != 1 || len(v.Parts) != 1 || v.Parts[0].Name != "cost_limit" {
		t.Errorf("violations are %+v, want the one of the cost limit", v)
	}
	if v := cards["adoption"]; *v.Value != 0 || v.Before != nil || v.Trend != "" {
		t.Errorf("adoption is %+v, want 0 of 3 and nothing to compare with", v)
	}
	if v := cards["drift"]; v.Value != nil || v.Why == "" {
		t.Errorf("drift is %+v; nothing was checked", v)
	}
}

func TestMeasuresRefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, days := range []string{"0", "367", "many", "-1"} {
		if got := r.raw(http.MethodGet, httpapi.Base+"/measures?days="+days, r.jsonBy(ann), ""); got.status != http.StatusBadRequest {
			t.Errorf("%s days answered %d", days, got.status)
		}
	}
	got := r.raw(http.MethodPost, httpapi.Base+"/measures/tickets", r.jsonBy(pat), `{"items": [{"date": "soon", "count": -1}, {"date": "2999-01-01", "count": 1}]}`)
	if body := refused(t, got); got.status != http.StatusBadRequest || len(body.Error.Details) != 3 {
		t.Errorf("a wrong import answered %d with %v, want every fault", got.status, body.Error.Details)
	}
	if _, err := r.as(ann).ImportTickets(t.Context(), []api.TicketCount{{Date: "2026-01-01"}}); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann's import = %v; only the platform team may", err)
	}
}
