package policy_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestServedPoliciesAreThoseOfTheFolderToTheByte(t *testing.T) {
	t.Parallel()
	server := serveBundle(t, archiveOf(t, policies.FS, policy.ArchiveOptions{}))
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := newService(t, policy.ServiceConfig{URL: server.URL + "/bundle.tar.gz", TokenFile: token})
	if !poll(t, s) || s.Digest() != builtIn(t).Digest() {
		t.Fatalf("in force is %q, want the folder's digest; refused: %v", s.Digest(), s.Err())
	}
	if got := server.authorization.Load(); got != "Bearer first" {
		t.Errorf("Authorization is %q", got)
	}
	if got := server.mode.Load(); got != "modes=snapshot" {
		t.Errorf("Prefer is %q", got)
	}
	if err := os.WriteFile(token, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if poll(t, s) || server.sent.Load() != 1 || server.notModified.Load() != 1 {
		t.Errorf("sent %d times and 304 %d times, want once each", server.sent.Load(), server.notModified.Load())
	}
	if got := server.authorization.Load(); got != "Bearer second" {
		t.Errorf("Authorization is %q after the token was rotated", got)
	}
	server.serve(archiveOf(t, edited(t, "data/limits.yaml", "{dev: 100,", "{dev: 80,"), policy.ArchiveOptions{}))
	if !poll(t, s) || s.Err() != nil {
		t.Fatalf("the new limit is not in force; refused: %v", s.Err())
	}
	findings, _, err := s.Findings(t.Context(), postgres("dev", 85_500))
	if err != nil || !denied(findings) {
		t.Errorf("findings %+v, error %v, want a denial above $80", findings, err)
	}
}

func TestWithoutAnyServedPoliciesNothingIsAllowed(t *testing.T) {
	t.Parallel()
	server := serveBundle(t, nil)
	server.status.Store(http.StatusForbidden)
	s, _ := newService(t, policy.ServiceConfig{URL: server.URL, Cache: t.TempDir()})
	if _, err := s.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("Poll = %v, want the status", err)
	}
	_, _, findings := s.Findings(t.Context(), postgres("dev", 1))
	_, allowance := s.Allowance(t.Context(), postgres("dev", 1))
	for what, err := range map[string]error{
		"findings": findings, "allowance": allowance, "ready": s.Ready(),
		"allow": s.Allow(t.Context(), provision.Access{Verb: provision.VerbRead}),
	} {
		if provision.KindOf(err) != provision.Unavailable || !strings.Contains(err.Error(), "nothing is allowed") {
			t.Errorf("%s: %v, want Unavailable that says why", what, err)
		}
	}
	if s.Digest() != "" || s.Age() != 0 {
		t.Errorf("digest %q, age %s of nothing", s.Digest(), s.Age())
	}
	server.status.Store(0)
	server.serve(archiveOf(t, policies.FS, policy.ArchiveOptions{}))
	if !poll(t, s) || s.Ready() != nil {
		t.Errorf("once they are served they are not in force: %v", s.Ready())
	}
}

func TestLastGoodServedPoliciesOutliveTheServiceAndARestart(t *testing.T) {
	t.Parallel()
	good := archiveOf(t, policies.FS, policy.ArchiveOptions{})
	server, cache := serveBundle(t, good), filepath.Join(t.TempDir(), "cache")
	s, log := newService(t, policy.ServiceConfig{URL: server.URL, Cache: cache})
	poll(t, s)
	server.serve(archiveOf(t, edited(t, "data/prices.yaml", "db.t3.small: 30", "db.t3.small: 31"), policy.ArchiveOptions{}))
	poll(t, s)
	newest := s.Digest()

	server.serve([]byte("this is no bundle"))
	for range 3 {
		poll(t, s)
	}
	if s.Digest() != newest || s.Err() == nil || s.Ready() != nil {
		t.Errorf("a bad bundle: in force %q, refused %v, ready %v", s.Digest(), s.Err(), s.Ready())
	}
	if n := strings.Count(log.String(), "policies refused"); n != 1 {
		t.Errorf("refused is logged %d times, want once:\n%s", n, log)
	}
	server.status.Store(http.StatusBadGateway)
	again, _ := newService(t, policy.ServiceConfig{URL: server.URL, Cache: cache})
	if _, err := again.Poll(t.Context()); err == nil {
		t.Error("a bad gateway is no error")
	}
	if again.Digest() != newest || again.Ready() != nil {
		t.Errorf("after a restart %q is in force, want %q: %v", again.Digest(), newest, again.Ready())
	}
	server.status.Store(0)
	server.serve(good)
	if !poll(t, again) || again.Digest() != builtIn(t).Digest() {
		t.Error("the service's word does not replace the cache's")
	}
	if err := os.WriteFile(filepath.Join(cache, "bundle.tar.gz"), []byte("rotten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rotten, _ := newService(t, policy.ServiceConfig{URL: server.URL, Cache: cache}); rotten.Ready() == nil {
		t.Error("a rotten cache decides")
	}
}

func TestServedPoliciesAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	write := func(dir, file, text string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		edit func(dir string)
		want []string
	}{
		"rules that do not parse": {func(dir string) {
			write(dir, "guardrails/multi_az.rego", "package roadbed.guardrails.multi_az\nfindings contains")
			write(dir, "guardrails/high_cost.rego", "package")
		}, []string{"guardrails/multi_az.rego", "guardrails/high_cost.rego"}},
		"rules that say nothing and data that is not there": {func(dir string) {
			write(dir, "guardrails/multi_az.rego", "package roadbed.guardrails.multi_az\nnothing := 1")
			write(dir, "guardrails/high_cost.rego", "package roadbed.guardrails.high_cost\nfindings contains 1 if data.nowhere.at_all")
		}, []string{"guardrails/multi_az.rego", "could never object", "data.nowhere.at_all"}},
		"no prices":                    {func(dir string) { os.Remove(filepath.Join(dir, "data/prices.yaml")) }, []string{"data.prices", "roadbed policy bundle"}},
		"a file outside of its roots":  {func(dir string) { write(dir, ".manifest", `{"revision": "1", "roots": ["roadbed"]}`) }, []string{"roots"}},
		"a rule outside of its roots":  {func(dir string) { write(dir, "lib/x.rego", "package elsewhere") }, []string{"elsewhere"}},
		"data that stands where rules": {func(dir string) { write(dir, "data/roadbed.yaml", "a: 1") }, []string{"roadbed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "policies")
			if err := os.CopyFS(dir, policies.FS); err != nil {
				t.Fatal(err)
			}
			tt.edit(dir)
			server := serveBundle(t, archiveOf(t, policies.FS, policy.ArchiveOptions{}))
			s, _ := newService(t, policy.ServiceConfig{URL: server.URL})
			poll(t, s)
			server.serve(pack(t, dir))
			poll(t, s)
			if s.Digest() != builtIn(t).Digest() || s.Err() == nil {
				t.Fatalf("it is in force; refused: %v", s.Err())
			}
			for _, want := range tt.want {
				if !strings.Contains(s.Err().Error(), want) {
					t.Errorf("refused: %v\nwant %q in it", s.Err(), want)
				}
			}
		})
	}
}

func TestBundlesOfOPAsOwnMakingAreTaken(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	for _, under := range []string{"/", "/policies/", "/org/policies/"} {
		server := serveBundle(t, packUnder(t, dir, under))
		s, _ := newService(t, policy.ServiceConfig{URL: server.URL})
		if !poll(t, s) {
			t.Fatalf("under %s it is refused: %v", under, s.Err())
		}
		for _, price := range []provision.Money{85_500, 100_000, 100_001} {
			got, _, err := s.Findings(t.Context(), postgres("dev", price))
			want, _, wantErr := builtIn(t).Findings(t.Context(), postgres("dev", price))
			if err != nil || wantErr != nil || denied(got) != denied(want) {
				t.Errorf("at %s: %+v (%v), want %+v (%v)", price, got, err, want, wantErr)
			}
		}
	}
}

func TestServedPoliciesThatFillTheMemoryAreRefused(t *testing.T) {
	t.Parallel()
	bomb := withFile(t, archiveOf(t, policies.FS, policy.ArchiveOptions{}), "/limits/data.yaml", make([]byte, 65<<20))
	s, _ := newService(t, policy.ServiceConfig{URL: serveBundle(t, bomb).URL})
	if poll(t, s) || s.Err() == nil || !strings.Contains(s.Err().Error(), "unpacks to more than 64 MiB") {
		t.Errorf("refused: %v", s.Err())
	}
	huge := make([]byte, 17<<20)
	if s, _ := newService(t, policy.ServiceConfig{URL: serveBundle(t, huge).URL}); s.Ready() == nil {
		t.Error("what was not received is in force")
	} else if _, err := s.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("Poll = %v", err)
	}
}

func TestOPALoadsTheBundlesThatAreWritten(t *testing.T) {
	t.Parallel()
	first := archiveOf(t, policies.FS, policy.ArchiveOptions{Revision: "abc123"})
	if !bytes.Equal(first, archiveOf(t, policies.FS, policy.ArchiveOptions{Revision: "abc123"})) {
		t.Error("the same policies give other bytes")
	}
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(file, first, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := loader.NewFileLoader().WithRegoVersion(ast.RegoV1).AsBundle(file)
	if err != nil {
		t.Fatal(err)
	}
	if read.Manifest.Revision != "abc123" || read.Data["limits"] == nil || read.Data["prices"] == nil {
		t.Errorf("revision %q, data %v", read.Manifest.Revision, read.Data)
	}
}

func TestOnlySignedPoliciesAreTakenWhereThereIsAKey(t *testing.T) {
	t.Parallel()
	private, public := newKeyPair(t)
	stranger, _ := newKeyPair(t)
	key, err := policy.ParseKey(public)
	if err != nil {
		t.Fatal(err)
	}
	signed := archiveOf(t, policies.FS, policy.ArchiveOptions{SigningKey: private, Algorithm: "ES256"})
	other := archiveOf(t, edited(t, "data/limits.yaml", "{dev: 100,", "{dev: 80,"), policy.ArchiveOptions{SigningKey: private, Algorithm: "ES256"})
	tests := map[string]struct {
		archive []byte
		key     *policy.Key
		taken   bool
	}{
		"signed":                       {signed, key, true},
		"not signed":                   {archiveOf(t, policies.FS, policy.ArchiveOptions{}), key, false},
		"signed by a stranger":         {archiveOf(t, policies.FS, policy.ArchiveOptions{SigningKey: stranger, Algorithm: "ES256"}), key, false},
		"changed after it was signed":  {withFile(t, signed, "/limits/data.yaml", fileIn(t, other, "/limits/data.yaml")), key, false},
		"signed, but nobody can check": {signed, nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			s, _ := newService(t, policy.ServiceConfig{URL: serveBundle(t, tt.archive).URL, Key: tt.key, Cache: cache})
			if taken := poll(t, s); taken != tt.taken || (s.Err() == nil) != tt.taken {
				t.Errorf("taken %t, want %t; refused: %v", taken, tt.taken, s.Err())
			}
			if _, err := os.Stat(filepath.Join(cache, "bundle.tar.gz")); (err == nil) != tt.taken {
				t.Errorf("the cache: %v", err)
			}
		})
	}
}

func TestServiceIsAskedUntilItIsTold(t *testing.T) {
	t.Parallel()
	server := serveBundle(t, archiveOf(t, policies.FS, policy.ArchiveOptions{}))
	s, _ := newService(t, policy.ServiceConfig{URL: server.URL})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, 1) }()
	tick, deadline := time.NewTicker(time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for server.notModified.Load() < 3 {
		select {
		case err := <-ended:
			t.Fatalf("it has ended: %v", err)
		case <-deadline:
			t.Fatal("it does not ask")
		case <-tick.C:
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}
