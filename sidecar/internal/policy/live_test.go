package policy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// watched is a folder with the built-in policies, and a Live on it.
type watched struct {
	t    *testing.T
	dir  string
	live *policy.Live
	log  *bytes.Buffer
}

func watch(t *testing.T, adopt func(*policy.Bundle) error) watched {
	t.Helper()
	w := watched{t: t, dir: filepath.Join(t.TempDir(), "policies"), log: &bytes.Buffer{}}
	if err := os.CopyFS(w.dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	var err error
	w.live, err = policy.NewLive(policy.LiveConfig{Files: os.DirFS(w.dir), Log: slog.New(slog.NewJSONHandler(w.log, nil)), Adopt: adopt})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w watched) write(file, old, new string) {
	w.t.Helper()
	path := filepath.Join(w.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		w.t.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, new)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// settle looks until the folder has been seen twice.
func (w watched) settle() bool {
	first := w.live.Look(w.t.Context())
	return w.live.Look(w.t.Context()) || first
}

func (w watched) denies(price provision.Money) bool {
	w.t.Helper()
	findings, digest, err := w.live.Findings(w.t.Context(), postgres("dev", price))
	if err != nil || digest != w.live.Digest() {
		w.t.Fatalf("findings by %s: error %v", digest, err)
	}
	for _, f := range findings {
		if f.Level == provision.LevelDeny {
			return true
		}
	}
	return false
}

func TestLivePoliciesFollowTheirFolder(t *testing.T) {
	t.Parallel()
	w := watch(t, nil)
	before := w.live.Digest()
	if w.settle() || w.denies(85_500) {
		t.Fatal("policies that nobody changed were replaced")
	}
	w.write("data/limits.yaml", "{dev: 100,", "{dev: 80,")
	removeTests(t, w.dir) // they hold the old number
	if w.live.Look(t.Context()) {
		t.Error("a folder that has just changed was taken before it settled")
	}
	if !w.live.Look(t.Context()) || w.live.Digest() == before || !w.denies(85_500) {
		t.Errorf("the new limit is not in force; refused: %v", w.live.Err())
	}
	if w.live.Age() < 0 || w.live.Err() != nil {
		t.Errorf("age %s, error %v", w.live.Age(), w.live.Err())
	}
	if err := w.live.Allow(t.Context(), provision.Access{Verb: provision.VerbRead}); provision.KindOf(err) != provision.Denied {
		t.Errorf("Allow = %v, want a denial", err)
	}
}

func removeTests(t *testing.T, dir string) {
	t.Helper()
	tests, err := filepath.Glob(filepath.Join(dir, "*", "*_test.rego"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("%d tests, error %v", len(tests), err)
	}
	for _, test := range tests {
		if err := os.Remove(test); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLivePoliciesKeepTheLastGoodOnes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ file, old, new, want string }{
		"a rule that does not parse":   {"guardrails/multi_az.rego", "findings contains", "findings contains contains", "compile policies"},
		"a rule that reads nothing":    {"data/limits.yaml", "cost_limit:", "cost_limits:", "data.limits.cost_limit"},
		"a number that its tests hold": {"data/limits.yaml", "minimum_days: 7", "minimum_days: 6", "own tests fail"},
		"an impure rule":               {"guardrails/multi_az.rego", "not input.action", "time.now_ns() > 0\n\tnot input.action", "time.now_ns"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, nil)
			before := w.live.Digest()
			w.write(tt.file, tt.old, tt.new)
			for range 5 {
				w.settle()
			}
			if w.live.Digest() != before || w.denies(85_500) {
				t.Error("bad policies were taken")
			}
			if err := w.live.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Err = %v, want %q", err, tt.want)
			}
			if n := strings.Count(w.log.String(), "policies refused"); n != 1 {
				t.Errorf("refused is logged %d times, want once:\n%s", n, w.log)
			}
			w.write(tt.file, tt.new, tt.old)
			if w.settle() || w.live.Err() != nil {
				t.Errorf("put back: refused %v", w.live.Err())
			}
		})
	}
}

func TestLivePoliciesAreRefusedWithTheirPrices(t *testing.T) {
	t.Parallel()
	asked := 0
	w := watch(t, func(b *policy.Bundle) error {
		asked++
		if asked > 1 && strings.Contains(string(b.PricesYAML()), "db.t3.small: 31") {
			return errors.New("these prices are wrong")
		}
		return nil
	})
	before := w.live.Digest()
	w.write("data/prices.yaml", "db.t3.small: 30", "db.t3.small: 31")
	w.settle()
	if w.live.Digest() != before || w.live.Err() == nil || asked != 2 {
		t.Errorf("prices were asked %d times, refused: %v", asked, w.live.Err())
	}
}

func TestLivePoliciesNeedGoodOnesToBegin(t *testing.T) {
	t.Parallel()
	if _, err := policy.NewLive(policy.LiveConfig{Files: os.DirFS(t.TempDir()), Log: slog.Default()}); err == nil {
		t.Error("an empty folder decides")
	}
}

func TestLivePoliciesAnswerWhileTheyAreReplaced(t *testing.T) {
	t.Parallel()
	w := watch(t, nil)
	removeTests(t, w.dir)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := w.live.Findings(context.Background(), postgres("dev", 85_500)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 6 {
		from, to := "{dev: 100,", "{dev: 80,"
		if i%2 == 1 {
			from, to = to, from
		}
		w.write("data/limits.yaml", from, to)
		if !w.settle() {
			t.Errorf("change %d was not taken: %v", i, w.live.Err())
		}
	}
	stop()
	group.Wait()
}
