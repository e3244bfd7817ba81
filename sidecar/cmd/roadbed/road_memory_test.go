package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const mib = 1 << 20

// resident is the memory that a process holds, in bytes: all of it, and without
// the pages of its program that the kernel may drop.
func (p *process) resident() (all, own int) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return kilobytes(string(text), "VmRSS:"), kilobytes(string(text), "RssAnon:")
}

// TestMemory prints what the sidecar holds when it is idle and after a thousand
// requests, and fails when that is more than a small container has.
func TestMemory(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{policies: withoutBudgets(t)})
	idle, idleOwn := r.sidecar.resident()
	began := time.Now()
	r.askMany(1000)
	took := time.Since(began)
	after, afterOwn := r.sidecar.resident()
	t.Logf("resident: idle %d MiB (%d of its own), after 1,000 requests %d MiB (%d of its own)", idle/mib, idleOwn/mib, after/mib, afterOwn/mib)
	t.Logf("1,000 requests by 16 askers took %s: %.0f a second, with Postgres, NATS and the askers on the same machine", took.Round(time.Millisecond), 1000/took.Seconds())
	if n := r.number("SELECT count(*) FROM requests WHERE state = 'queued'"); n != 1000 {
		t.Errorf("%d requests are queued of 1,000", n)
	}
	if after > 256*mib {
		t.Errorf("the sidecar holds %d MiB after 1,000 requests, want 256 at most", after/mib)
	}
	r.audit()
}

// withoutBudgets are the built-in policies for who asks for more than any team's
// budget pays.
func withoutBudgets(t testing.TB) func(dir string) {
	amounts := regexp.MustCompile(`amounts: \{.*\}`)
	return servedPolicies(t, "data/budgets.yaml", func(text string) string { return amounts.ReplaceAllString(text, "amounts: {}") })
}

// askMany asks for n databases where no worker ever comes.
func (r *road) askMany(n int) {
	r.t.Helper()
	owner := r.patient(ann)
	var next atomic.Int64
	var askers sync.WaitGroup
	for range 16 {
		askers.Go(func() {
			for next.Add(1) <= int64(n) {
				if _, err := owner.Submit(r.t.Context(), uuid.NewString(), r.submission("staging")); err != nil {
					r.t.Errorf("submit: %v", err)
					return
				}
			}
		})
	}
	askers.Wait()
}

func kilobytes(status, field string) int {
	var n int
	for line := range strings.Lines(status) {
		if _, err := fmt.Sscanf(line, field+" %d kB", &n); err == nil {
			return n << 10
		}
	}
	return 0
}

// BenchmarkSubmit is the whole path of an ask, over HTTP and back: two tokens,
// contract, price, policy and the commit, with NATS and the loops at work. What
// it allocates is the server's and the client's together.
func BenchmarkSubmit(b *testing.B) {
	c := benchSidecar(b)
	var names atomic.Int64
	submission := func(edit func(provision.Parameters)) api.Submission {
		p := provision.Parameters{
			"database_name": fmt.Sprintf("orders-%d", names.Add(1)), "environment": "staging", "team_owner": "payments", "cost_center": "CC-1234",
		}
		if edit != nil {
			edit(p)
		}
		return api.Submission{Offering: "postgres-database", Parameters: p}
	}
	accepted := func(b *testing.B) {
		if _, err := c.Submit(b.Context(), uuid.NewString(), submission(nil)); err != nil {
			b.Error(err)
		}
	}
	denied := func(b *testing.B) {
		dear := func(p provision.Parameters) {
			p["instance_class"], p["storage_gb"], p["multi_az"] = "db.r6g.xlarge", 1000, true
		}
		if _, err := c.Submit(b.Context(), uuid.NewString(), submission(dear)); provision.KindOf(err) != provision.Denied {
			b.Errorf("want a denial, got %v", err)
		}
	}
	evaluated := func(b *testing.B) {
		if _, err := c.Evaluate(b.Context(), "postgres-database", submission(nil).Parameters); err != nil {
			b.Error(err)
		}
	}
	for _, path := range []struct {
		name string
		ask  func(*testing.B)
	}{{"accepted", accepted}, {"denied", denied}, {"evaluated", evaluated}} {
		b.Run(path.name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				path.ask(b)
			}
		})
		b.Run(path.name+"/sixteen", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(8) // on two cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					path.ask(b)
				}
			})
		})
	}
}

// benchSidecar is a client of a sidecar in this process, on a Postgres that
// syncs as a production server does.
func benchSidecar(b *testing.B) *client.Client {
	b.Helper()
	shareParts(b)
	portal, nats := newPortal(b), testkit.NATS(b)
	cluster, err := devenv.StartCluster(b.Context(), devenv.ClusterConfig{Dir: filepath.Join(parts.dir, "bench")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Stop)
	if err := postgres.Migrate(b.Context(), cluster.DSN("postgres")); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := keys.Create(dir, "local", "idle"); err != nil {
		b.Fatal(err)
	}
	writeFile(b, filepath.Join(dir, "token"), "0123456789abcdef0123456789abcdef")
	writeFile(b, filepath.Join(dir, "environments", "staging.yaml"), idleStaging)
	withoutBudgets(b)(filepath.Join(dir, "policies"))
	port := testkit.FreePort(b)
	config := sidecarConfig{
		ownedFiles: ownedFiles{Environments: filepath.Join(dir, "environments"), Policies: filepath.Join(dir, "policies")}, Listen: fmt.Sprintf("127.0.0.1:%d", port),
		BaseURL: fmt.Sprintf("http://127.0.0.1:%d/api/roadbed", port), Backstage: portal.URL, Algorithms: []string{"ES256"},
		Database: cluster.DSN("postgres"), NATS: nats.URL(), KeysDir: dir, PoolTokens: map[string]string{"local": filepath.Join(dir, "token")},
		Slots: 4, Lease: 30 * time.Second, QueueTimeout: time.Hour, CallerAsks: 1e6, CallerTries: 1e6,
	}
	s, err := newSidecar(b.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Errorf("sidecar: %v", err)
		}
		s.close()
	})
	token := portal.plugin(b, "scaffolder", ann)
	c, err := client.New(config.BaseURL, "", client.Retry(deadline), client.TokenSource(func(context.Context) (string, error) { return token, nil }))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Me(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c
}
