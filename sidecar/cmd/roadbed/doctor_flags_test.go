package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// whoChecks is the check of the doctor that looks at each flag of a command; of
// a flag that none needs to look at, it is why, after a dash.
var whoChecks = map[string]map[string]string{
	"serve": {
		"offerings": "files", "policies": "files", "environments": "files",
		"policy-bundle": "policy bundle", "policy-bundle-token": "policy bundle", "policy-bundle-key": "policy bundle",
		"policy-bundle-cache": "policy bundle cache", "policy-bundle-interval": "settings",
		"listen": "listen", "metrics": "metrics listen", "base-url": "own address", "portal": "portal",
		"backstage": "backstage users", "endpoints": "backstage users", "algorithms": "backstage users",
		"signing-key": "backstage catalog", "also-published": "published key", "pipelines": "pipelines of",
		"database": "database", "state": "states", "nats": "nats", "nats-key": "nats permissions", "nats-ca-file": "nats", "nats-replicas": "nats streams",
		"keys-dir": "keys of pool local", "pool-tokens": "token of pool local",
		"slots": "settings", "lease": "settings", "queue-timeout": "settings", "approval-timeout": "settings", "drift-every": "settings",
		"notifications": "notifications", "publish": "- either of its values is right", "decision-log": "decision log",
		"caller-reads": "settings", "caller-tries": "settings", "caller-asks": "settings", "caller-at-once": "settings", "pool-calls": "settings", "requests-at-once": "settings",
		"feed-listen": "feed listen", "feed-secret": "feed secret", "permissions": "backstage permissions",
	},
	"worker": {
		"pool": "keys", "name": "nats permissions", "dir": "folder", "slots": "settings", "sidecar": "sidecar", "ca-file": "sidecar", "token-file": "sidecar",
		"nats": "nats", "nats-key": "nats permissions", "nats-ca-file": "nats", "keys-dir": "keys",
		"terraform": "terraform", "cli-config": "provider mirror", "pass": "variable", "providers": "providers",
		"terraform-memory": "memory", "drain": "settings",
	},
}

// TestTheDoctorLooksAtEveryFlag fails for a new flag that no check is named for,
// and for a check that is named and not made.
func TestTheDoctorLooksAtEveryFlag(t *testing.T) {
	w := newWard(t)
	w.fill()
	made := map[string]examination{"serve": w.server.examine(t.Context()), "worker": w.worker.examine(t.Context())}
	for _, c := range append(made["serve"], made["worker"]...) {
		if c.Status == checkFail && c.Name != "database fsync" {
			t.Errorf("%+v, want all to be well", c)
		}
	}
	parser, err := kong.New(&cli{}, kong.Vars{"version": "test"}, kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Children {
		checks, examined := whoChecks[command.Name]
		if !examined {
			continue
		}
		seen := map[string]bool{}
		for _, flag := range command.Flags {
			seen[flag.Name] = true
			check := checks[flag.Name]
			switch {
			case check == "":
				t.Errorf("no check of roadbed doctor looks at --%s of roadbed %s: add one, or say here why none does", flag.Name, command.Name)
			case !strings.HasPrefix(check, "- ") && !made[command.Name].has(check):
				t.Errorf("--%s of roadbed %s is looked at by %q, which is no check: %v", flag.Name, command.Name, check, made[command.Name])
			}
		}
		for name := range checks {
			if !seen[name] {
				t.Errorf("roadbed %s has no flag --%s", command.Name, name)
			}
		}
		delete(made, command.Name)
	}
	if len(made) > 0 {
		t.Errorf("no such commands: %v", made)
	}
}

// has reports whether there is a check whose name begins so.
func (e examination) has(name string) bool {
	for _, c := range e {
		if c.Name == name || strings.HasPrefix(c.Name, name+" ") {
			return true
		}
	}
	return false
}

// fill sets what the ward leaves out because it may be left out.
func (w *ward) fill() {
	var archive strings.Builder
	if _, err := policy.WriteArchive(&archive, policies.FS, policy.ArchiveOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.server.Metrics, w.server.Feed.Listen = "127.0.0.1:0", "127.0.0.1:0"
	w.server.Feed.Secret = w.file("feed", strings.Repeat("f", 32))
	w.server.Published = []string{w.server.SigningKey}
	w.server.Permissions = true
	w.server.DecisionLog = filepath.Join(w.t.TempDir(), "decisions.json")
	w.server.Notifications = w.file("notifications.yaml", fmt.Sprintf("channels: {hook: {webhook: {url: %q, secret_file: %s}}}\nroutes: [{to: [hook]}]\n", w.server.Portal, w.file("secret", "whsec_"+strings.Repeat("A", 32))))
	w.server.Pipelines = w.file("pipelines.yaml", fmt.Sprintf(
		"issuers: [{issuer: https://ci.test, audience: roadbed, keys_file: %q, grants: [{claims: {repository: a/b}, owner: payments}]}]\n", w.file("keys.json", ecKeySet)))
	w.server.PolicyFrom = policySource{Bundle: serves(w.t, http.StatusOK, archive.String()), Interval: time.Minute, Cache: w.t.TempDir()}
	w.worker.Pass = []string{"ROADBED_DOCTOR_TEST"}
	w.worker.variables = map[string]string{"ROADBED_DOCTOR_TEST": "set"}
	w.worker.Providers = w.file("lock.hcl", "provider \"registry.terraform.io/hashicorp/random\" {\n  version = \"3.6.0\"\n  hashes = [\"h1:"+strings.Repeat("A", 43)+"=\"]\n}\n")
	for name, value := range testkit.S3(w.t).Variables() {
		w.t.Setenv(name, value)
	}
	w.server.State = "s3://platform-state"
}

// ecKeySet is a key set with one key, of RFC 7517 appendix A.1.
const ecKeySet = `{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1","alg":"ES256"}]}`

// taken is an address that nobody else can have.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// serves is a server that answers everything with a status and a body.
func serves(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.WriteHeader(status)
		_, _ = io.WriteString(out, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
