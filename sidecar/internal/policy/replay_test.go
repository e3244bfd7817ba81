package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestReplayOfTheSamePoliciesDiffersInNothing(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	past := history(t, bundle, 600)
	report := replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: side(load(t))})
	if report.History.Differences() != 0 || report.SelfCheck.Differences != 0 || report.Undecided != 0 {
		t.Errorf("the same policies differ: %+v", report)
	}
	if report.History.Decided != 600 || report.SelfCheck.Checked != 600 {
		t.Errorf("decided %d and checked %d of 600", report.History.Decided, report.SelfCheck.Checked)
	}
}

func TestReplayCountsWhatACandidateChanges(t *testing.T) {
	t.Parallel()
	bundle := changed(t, strict)
	const n = 600
	past := history(t, bundle, n)
	// The guardrails that decide here, a second time and without Rego.
	type limits struct{ cost, size, days map[string]int64 }
	current := limits{
		cost: map[string]int64{"dev": 100, "staging": 500, "prod": 10000},
		size: map[string]int64{"dev": 500, "staging": 500, "prod": 800},
		days: map[string]int64{"prod": 7},
	}
	denied := func(l limits, a asked) bool {
		return int64(a.mills) > l.cost[a.environment]*1000 || a.storage > l.size[a.environment] || a.days < l.days[a.environment]
	}
	tests := map[string]struct {
		change func(fstest.MapFS)
		limits limits
		rule   string
	}{
		"a lower cost limit": {
			func(f fstest.MapFS) {
				replace(f, "data/limits.yaml", "{dev: 100, staging: 500, prod: 10000}", "{dev: 60, staging: 150, prod: 10000}")
			},
			limits{map[string]int64{"dev": 60, "staging": 150, "prod": 10000}, current.size, current.days}, "cost_limit",
		},
		"a higher cost limit": {
			func(f fstest.MapFS) {
				replace(f, "data/limits.yaml", "{dev: 100, staging: 500, prod: 10000}", "{dev: 150, staging: 500, prod: 10000}")
			},
			limits{map[string]int64{"dev": 150, "staging": 500, "prod": 10000}, current.size, current.days}, "cost_limit",
		},
		"a smaller size": {
			func(f fstest.MapFS) {
				replace(f, "data/limits.yaml", "{dev: 500, staging: 500, prod: 800}", "{dev: 400, staging: 500, prod: 750}")
			},
			limits{current.cost, map[string]int64{"dev": 400, "staging": 500, "prod": 750}, current.days}, "large_database",
		},
		"longer backups": {
			func(f fstest.MapFS) { replace(f, "data/limits.yaml", "minimum_days: 7", "minimum_days: 14") },
			limits{current.cost, current.size, map[string]int64{"prod": 14}}, "backup_retention",
		},
		"no backup rule": {
			func(f fstest.MapFS) {
				replace(f, "guardrails/backup_retention.rego", "not _long_enough", "not _long_enough\n\tfalse")
			},
			limits{current.cost, current.size, nil}, "backup_retention",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wantDenied, wantAllowed int64
			var wantMoney provision.Money
			teams := map[string]int64{}
			for i := range n {
				before, after := denied(current, ask(i)), denied(tt.limits, ask(i))
				if after && !before {
					wantDenied++
					wantMoney += ask(i).mills
					teams[ask(i).owner]++
				}
				if before && !after {
					wantAllowed++
				}
			}
			report := replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: side(changed(t, func(f fstest.MapFS) { strict(f); tt.change(f) }))})
			got := report.History
			if got.NewlyDenied.Count != wantDenied || got.NewlyAllowed.Count != wantAllowed || got.NewlyDenied.MonthlyCost != wantMoney {
				t.Errorf("newly denied %d (%s) and allowed %d, want %d (%s) and %d",
					got.NewlyDenied.Count, got.NewlyDenied.MonthlyCost, got.NewlyAllowed.Count, wantDenied, wantMoney, wantAllowed)
			}
			if wantDenied+wantAllowed == 0 {
				t.Error("the change changes nothing here; the test has lost its point")
			}
			for _, group := range []policy.Group{got.NewlyDenied, got.NewlyAllowed} {
				for _, share := range group.Rules {
					if share.Name != tt.rule {
						t.Errorf("rule %s is blamed, want %s", share.Name, tt.rule)
					}
				}
			}
			for _, share := range got.NewlyDenied.Teams {
				if share.Count != teams[share.Name] {
					t.Errorf("%s is denied %d times, want %d", share.Name, share.Count, teams[share.Name])
				}
			}
			if report.SelfCheck.Checked != n/10 || report.SelfCheck.Differences != 0 {
				t.Errorf("self-check %+v, want %d without a difference", report.SelfCheck, n/10)
			}
		})
	}
}

func TestReplayIsTheSameHoweverManyDecide(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	past := history(t, bundle, 300)
	candidate := side(changed(t, func(f fstest.MapFS) {
		replace(f, "data/limits.yaml", "{dev: 100, staging: 500, prod: 10000}", "{dev: 50, staging: 50, prod: 50}")
	}))
	reports := []*policy.ReplayReport{}
	for _, workers := range []int{1, 2, 5} {
		reports = append(reports, replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: candidate, Workers: workers, Examples: 7}))
	}
	for _, other := range reports[1:] {
		diff := cmp.Diff(reports[0], other, cmpopts.IgnoreFields(policy.ReplayReport{}, "Took"), cmpopts.IgnoreUnexported(policy.Example{}))
		if diff != "" {
			t.Errorf("reports differ (-one worker +more):\n%s", diff)
		}
	}
	if got := reports[0].History.NewlyDenied.Examples; len(got) != 7 || got[0].Message == "" {
		t.Errorf("examples = %+v, want the 7 oldest with their reason", got)
	}
}

func TestReplayPricesAgainOnlyWhereThePricesDiffer(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	past := append([]provision.Past{{Kind: provision.PastOffering, OfferingDigest: "sha256:o", Offering: &provision.Offering{ID: "postgres-database"}}},
		history(t, bundle, 90)...)
	dearer := changed(t, func(f fstest.MapFS) { replace(f, "data/prices.yaml", "db.t3.small: 30", "db.t3.small: 31") })
	candidate := policy.Side{Bundle: dearer, Prices: flat{300}, PricesDigest: "sha256:dearer"}
	var changes int64
	var want provision.Money
	for i := range 90 {
		now := 300 * provision.Money(ask(i).storage)
		want += now
		if now != ask(i).mills {
			changes++
		}
	}
	report := replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: candidate})
	if got := report.History.Prices; got.After != want || got.Changed != changes {
		t.Errorf("prices = %+v, want %d changed to %s", got, changes, want)
	}
	unknown := policy.Side{Bundle: dearer, Prices: flat{-1}, PricesDigest: "sha256:none"}
	report = replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: unknown})
	if got := report.History; got.Prices.NewlyUnknown != 90 || got.NewlyAllowed.Count != 0 {
		t.Errorf("without prices: %+v, want all unknown and none allowed", got)
	}
	report = replay(t, past[1:], policy.ReplayOptions{Baseline: side(bundle), Candidate: candidate})
	if report.Undecided != 90 || !strings.Contains(report.Reasons[0].Reason, "kept no longer") {
		t.Errorf("without the offering: undecided %d because %v, want 90", report.Undecided, report.Reasons)
	}
}

func TestReplayPricesWhatAChangeChangesAgainToo(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	input := postgres("dev", 90_000, with("storage_gb", int64(300)))
	input.Action, input.Before = provision.Update, provision.Parameters{"storage_gb": int64(310)}
	input.Was = &provision.RuleWas{Owner: input.Owner, CostCenter: input.CostCenter, Price: input.Price}
	document, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	past := []provision.Past{
		{Kind: provision.PastOffering, OfferingDigest: "sha256:o", Offering: &provision.Offering{ID: "postgres-database"}},
		{
			Kind: provision.PastVerdict, Stage: provision.StageSubmit, Outcome: provision.OutcomeAllow, BundleDigest: bundle.Digest(),
			PricesDigest: pricesDigest, OfferingDigest: "sha256:o", Input: document,
		},
	}
	dearer := changed(t, func(f fstest.MapFS) { replace(f, "data/prices.yaml", "db.t3.small: 30", "db.t3.small: 31") })
	report := replay(t, past, policy.ReplayOptions{
		Baseline: side(bundle), Candidate: policy.Side{Bundle: dearer, Prices: flat{1000}, PricesDigest: "sha256:dearer"},
	})
	if got := report.History; got.Decided != 1 || got.Prices.After != 300_000 || got.NewlyDenied.Count != 0 {
		t.Errorf("at $300 after $310: %+v, want it let be", got)
	}
}

func TestReplayFindsThatThePastWasTamperedWith(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	past := history(t, bundle, 30)
	past[20].Findings = []provision.Finding{{Rule: "cost_limit", Level: provision.LevelDeny, Message: "It was too dear."}}
	past[20].Outcome = provision.OutcomeDeny
	report := replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: side(bundle)})
	if report.SelfCheck.Differences != 1 || report.SelfCheck.Examples[0].RequestID != past[20].RequestID {
		t.Errorf("self-check = %+v, want the difference at %s", report.SelfCheck, past[20].RequestID)
	}
}

func TestReplayDecidesAgainWhatOtherPoliciesSaid(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	older := changed(t, func(f fstest.MapFS) {
		replace(f, "data/limits.yaml", "{dev: 100, staging: 500, prod: 10000}", "{dev: 1, staging: 1, prod: 1}")
	})
	report := replay(t, history(t, older, 60), policy.ReplayOptions{Baseline: side(bundle), Candidate: side(bundle)})
	if report.History.Differences() != 0 || report.SelfCheck.Checked != 0 || report.History.Decided != 60 {
		t.Errorf("older verdicts: %+v, want 60 decided, none checked, no difference", report)
	}
}

func TestReplayOfInstancesAsksForThemNow(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	past := []provision.Past{{Kind: provision.PastOffering, OfferingDigest: "sha256:o", Offering: &provision.Offering{}}}
	for _, entry := range history(t, bundle, 30) {
		past = append(past, provision.Past{Kind: provision.PastInstance, InstanceID: entry.RequestID, OfferingDigest: "sha256:o", Input: entry.Input})
	}
	past = append(past, provision.Past{Kind: provision.PastInstance})
	report := replay(t, past, policy.ReplayOptions{Baseline: side(bundle), Candidate: side(bundle)})
	if report.Fleet.Decided != 30 || report.Fleet.Differences() != 0 || report.Undecided != 1 || report.History.Decided != 0 {
		t.Errorf("fleet %+v, undecided %d; want 30 decided, 1 without input", report.Fleet, report.Undecided)
	}
}

func TestReplayEndsWithItsPast(t *testing.T) {
	t.Parallel()
	broken := errors.New("the past is broken")
	past := history(t, load(t), 1)
	_, err := policy.Replay(t.Context(), func(yield func(provision.Past, error) bool) {
		_ = yield(past[0], nil) && yield(provision.Past{}, broken)
	}, policy.ReplayOptions{Baseline: side(load(t)), Candidate: side(load(t))})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v, want the past's own", err)
	}
}

// BenchmarkReplay decides 50,000 different verdicts again under policies that
// deny some of them; it reports what the heap held at most.
func BenchmarkReplay(b *testing.B) {
	const n = 50_000
	bundle := load(b)
	candidate := changed(b, func(f fstest.MapFS) { replace(f, "data/limits.yaml", "minimum_days: 7", "minimum_days: 8") })
	some := history(b, bundle, 2000)
	endless := func(yield func(provision.Past, error) bool) {
		for i := range n {
			past := some[i%len(some)]
			past.RequestID = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i))
			past.Input = json.RawMessage(strings.Replace(string(past.Input), `"name":"orders"`, fmt.Sprintf(`"name":"orders%d"`, i), 1))
			if !yield(past, nil) {
				return
			}
		}
	}
	for name, against := range map[string]*policy.Bundle{"itself": bundle, "a candidate": candidate} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var peak atomic.Uint64
				began := time.Now()
				report, err := policy.Replay(b.Context(), endless, policy.ReplayOptions{
					Baseline: side(bundle), Candidate: side(against), Progress: func(int64) {
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						peak.Store(max(peak.Load(), m.HeapAlloc))
					},
				})
				if err != nil || report.History.Decided != n || report.SelfCheck.Differences != 0 {
					b.Fatalf("decided %+v, error %v", report, err)
				}
				b.ReportMetric(time.Since(began).Seconds(), "s/50000")
				b.ReportMetric(float64(peak.Load())/1e6, "MB-heap")
			}
		})
	}
}
