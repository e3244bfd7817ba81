package policy_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// asked is the i-th of an endless row of different asks, made without chance.
type asked struct {
	environment string
	owner       string
	mills       provision.Money
	storage     int64
	days        int64
	multiAZ     bool
}

func ask(i int) asked {
	return asked{
		environment: []string{"dev", "staging", "prod"}[i%3],
		owner:       []string{"group:default/payments", "group:default/search", "group:default/checkout", "group:default/web"}[i/3%4],
		mills:       provision.Money(20_000 + i*7919%180_000),
		storage:     int64(20 + i*31%981),
		days:        int64(1 + i*5%35),
		multiAZ:     i%2 == 0,
	}
}

func (a asked) input() provision.RuleInput {
	in := postgres(a.environment, a.mills, with("storage_gb", a.storage), with("backup_retention_days", a.days), with("multi_az", a.multiAZ))
	in.Owner = a.owner
	return in
}

// flat prices an ask by its storage, so that a test can say what it costs.
type flat struct{ perGB provision.Money }

func (f flat) Price(_ provision.Offering, p provision.Parameters) (provision.Estimate, error) {
	if f.perGB < 0 {
		return provision.Estimate{}, provision.Errorf(provision.Invalid, "there is no price")
	}
	gb, err := p["storage_gb"].(json.Number).Int64()
	return provision.Estimate{MonthlyCost: f.perGB * provision.Money(gb)}, err
}

const pricesDigest = "sha256:prices"

func side(bundle *policy.Bundle) policy.Side {
	return policy.Side{Bundle: bundle, Prices: flat{100}, PricesDigest: pricesDigest}
}

// history is what the bundle says of the first n asks, as it would be stored.
func history(t testing.TB, bundle *policy.Bundle, n int) []provision.Past {
	t.Helper()
	past := make([]provision.Past, n)
	for i := range past {
		input := ask(i).input()
		findings, digest, err := bundle.Findings(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		outcome := provision.OutcomeAllow
		for _, f := range findings {
			switch {
			case f.Level == provision.LevelDeny:
				outcome = provision.OutcomeDeny
			case f.Level == provision.LevelRequireApproval && outcome != provision.OutcomeDeny:
				outcome = provision.OutcomeRequireApproval
			case f.Level == provision.LevelWarn && outcome == provision.OutcomeAllow:
				outcome = provision.OutcomeWarn
			}
		}
		slices.Reverse(findings) // what is stored has an order of its own
		past[i] = provision.Past{
			Kind: provision.PastVerdict, RequestID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)), Stage: provision.StageSubmit,
			Outcome: outcome, Findings: findings, BundleDigest: digest, PricesDigest: pricesDigest, OfferingDigest: "sha256:o", Input: document,
		}
	}
	return past
}

func each(past []provision.Past) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		for _, entry := range past {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

func replay(t testing.TB, past []provision.Past, o policy.ReplayOptions) *policy.ReplayReport {
	t.Helper()
	report, err := policy.Replay(t.Context(), each(past), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// changed is the built-in bundle with changes.
func changed(t testing.TB, change func(fstest.MapFS)) *policy.Bundle {
	t.Helper()
	files := shipped(t)
	change(files)
	bundle, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// shipped is the built-in bundle as files that a test or a benchmark may change.
func shipped(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(policies.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(policies.FS, name)
		files[name] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// strict denies what the shipped policies would let wait for an approval.
func strict(f fstest.MapFS) {
	replace(f, "data/limits.yaml", "levels: {staging: require_approval, prod: require_approval}", "levels: {}")
	replace(f, "data/limits.yaml", "large_database:\n  level: require_approval", "large_database:\n  level: deny")
}
