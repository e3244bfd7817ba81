package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestRangeText(t *testing.T) {
	tests := map[string]struct {
		is   provision.Range
		want string
	}{
		"every value":         {provision.Range{Spans: []provision.Span{{Min: 1, Max: 9}}, Whole: true}, "anything"},
		"no value":            {provision.Range{}, "nothing fits"},
		"spans, one a number": {provision.Range{Spans: []provision.Span{{Min: 1, Max: 3}, {Min: 7, Max: 7}}}, "1 to 3, 7"},
		"choices":             {provision.Range{Values: []any{"small", "large"}}, "small, large"},
		"a switch":            {provision.Range{Values: []any{false}}, "false"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := rangeText(tt.is); got != tt.want {
				t.Errorf("rangeText = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestADeniedRequestNamesWhatWouldFit(t *testing.T) {
	stored := ordersRequest(provision.DeniedState)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.RequestAnswer{Request: stored}) // the test would see that it is cut
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "token")
	if err != nil {
		t.Fatal(err)
	}
	conn := &connection{Client: c}
	refused := &provision.Error{Kind: provision.Denied, RequestID: ordersAsk.String(), Alternatives: []provision.Alternative{
		{Changes: provision.Parameters{"multi_az": false}, MonthlyCost: 85_500, Text: "turn off multi-AZ"},
	}}
	for name, tt := range map[string]struct {
		asJSON bool
		want   string
	}{
		"for people": {false, "\nSmallest changes that fit: turn off multi-AZ ($85.50)\n"},
		"as JSON":    {true, `"text": "turn off multi-AZ"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := conn.denied(t.Context(), &out, refused, tt.asJSON)
			if code := exit(0); !errors.As(err, &code) || int(code) != exitDenied {
				t.Errorf("denied gave %v, want exit code %d", err, exitDenied)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("printed %q, want %q in it", out.String(), tt.want)
			}
			if !tt.asJSON {
				return
			}
			var printed struct {
				ID           string
				Alternatives []provision.Alternative
			}
			if err := json.Unmarshal([]byte(out.String()), &printed); err != nil || printed.ID != ordersAsk.String() || len(printed.Alternatives) != 1 {
				t.Errorf("printed %+v, %v; want the request with its alternatives", printed, err)
			}
		})
	}
}
