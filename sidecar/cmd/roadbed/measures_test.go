package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestReadTickets(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		file string
		want string // counts by date, or each fault on a line of its own
	}{
		"with a heading":             {"date,count\n2026-03-09,4\n2026-03-10,0\n", "[{4 2026-03-09} {0 2026-03-10}]"},
		"without":                    {"2026-03-09, 4", "[{4 2026-03-09}]"},
		"as a spreadsheet writes it": {"\ufeffDate,Count\r\n2026-03-09,\"4\"\r\n\r\n", "[{4 2026-03-09}]"},
		"everything that is wrong is told at once": {
			"date,count\n2026-03-09,many\n9 March,1\n2026-03-09,2\n2026-03-11,1\n2026-03-08\n2026-03-07,\"1\n",
			`line 2: "many" is not a number of tickets
line 6: it has 1 fields; it must have two, date and count
line 7: it is not CSV: extraneous or missing " in quoted-field
line 3: "9 March" is not a date; write it as 2026-01-31
line 4: 2026-03-09 is there twice; give each date once
line 5: 2026-03-11 is in the future; today is 2026-03-10 (UTC)`,
		},
		"an empty file": {"date,count\n", "file: there is no day to import; give at least one date with its count"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tickets, err := readTickets(strings.NewReader(tt.file), now)
			got := fmt.Sprint(tickets)
			if shown := (*provision.Error)(nil); errors.As(err, &shown) {
				var lines []string
				for _, f := range shown.Details {
					lines = append(lines, f.Path+": "+f.Message)
				}
				got = strings.Join(lines, "\n")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrintMeasures(t *testing.T) {
	n := func(f float64) *float64 { return &f }
	var out strings.Builder
	printMeasures(&out, api.Measures{
		From: time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC),
		Cards: []api.Measure{
			{Title: "Avg. provision time", Unit: provision.Minutes, Value: n(2.96), Before: n(4), Trend: "down", Better: "down", Parts: []api.MeasurePart{{Name: "median", Unit: provision.Minutes, Value: 0.04}}},
			{Title: "Self-service adoption", Unit: provision.Share, Value: n(0.754), Before: n(0.8), Trend: "down", Better: "up", Parts: []api.MeasurePart{{Name: "self_service", Unit: provision.Number, Value: 46}}},
			{Title: "Savings", Unit: provision.DollarsAMonth, Value: n(114.5), Before: n(114.5), Trend: "same", Better: "up"},
			{Title: "Drift incidents", Unit: provision.Number, Why: "Drift is not measured yet."},
		},
		More: []api.Measure{{Title: "Instances", Unit: provision.Number, Value: n(4), Before: n(3), Trend: "up"}},
	})
	checkText(t, out.String(), `
8 Mar 2026 to 10 Mar 2026 15:00 (UTC)

Avg. provision time    3.0 min          down, was 4.0 min (better)  median 2.4 s
Self-service adoption  75 %             down, was 80 % (worse)      self service 46
Savings                $114.50 / month  as before                   
Drift incidents        -                                            Drift is not measured yet.
Instances              4                up, was 3                   
`)
}
