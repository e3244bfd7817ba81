package main

import (
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestPrintChange(t *testing.T) {
	before, after, difference := 85*provision.Dollar+500, 90*provision.Dollar, 4*provision.Dollar+500
	var out strings.Builder
	printChange(&out, api.ChangePreview{
		Verdict: api.Verdict{Outcome: provision.OutcomeDeny, Findings: []provision.Finding{{Rule: "immutable", Level: provision.LevelDeny, Message: "It stays."}}},
		ChangeDifference: api.ChangeDifference{
			Changes: []provision.ParameterChange{
				{Parameter: "storage_gb", Title: "Storage (GB)", Before: 100, After: 120},
				{Parameter: "token", Title: "Token", Before: map[string]any{"set": true}, After: nil},
				{Parameter: "zone", Title: "Zone", Before: "a", After: "b", Immutable: true},
			},
			CostBefore: &before, CostAfter: &after, CostDifference: &difference, Replaces: []string{"engine"},
			VersionBefore: "1.2.0", VersionAfter: "2.0.0",
		},
	})
	checkText(t, out.String(), `
  Storage (GB)  100 → 120
  Token         (secret) → not set
  Zone          a → b  (cannot be changed)
  Version       1.2.0 → 2.0.0
  $85.50 → $90.00 / month (+$4.50)
  ! Changing engine makes it anew: what it holds is lost unless it is copied first.
✕ Not allowed
  ✕ It stays.  (immutable)
`)
}
