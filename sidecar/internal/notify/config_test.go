package notify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestRoutesSayWhomToTell(t *testing.T) {
	t.Parallel()
	secret := secretFile(t, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	c, err := ParseConfig([]byte(strings.ReplaceAll(`
channels:
  ops: {slack: {url_file: SECRET}}
  audit: {webhook: {url: "https://audit.example/hook", secret_file: SECRET}}
  team: {smtp: {address: "mail.example:587", from: roadbed@example.com, to: [payments@example.com]}}
  portal: {backstage: {}}
routes:
  - match: {entity: request, verb: [failed, denied], environment: prod}
    to: [ops, portal]
  - match: {owner: payments, entity: request}
    to: [team]
  - match: {offering: postgres-database}
    to: [audit]
`, "SECRET", secret)))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		event           provision.Event
		owner, offering string
		want            []string
	}{
		"a failure in prod":   {provision.Event{Entity: "request", Verb: "failed", Environment: "prod"}, "group:default/web", "static-site", []string{"ops", "portal"}},
		"of another team":     {provision.Event{Entity: "request", Verb: "failed", Environment: "dev"}, "group:default/web", "static-site", nil},
		"of the named team":   {provision.Event{Entity: "request", Verb: "queued", Environment: "dev"}, "group:default/payments", "static-site", []string{"team"}},
		"of a named thing":    {provision.Event{Entity: "step", Verb: "started", Environment: "dev"}, "group:default/web", "postgres-database", []string{"audit"}},
		"all of them at once": {provision.Event{Entity: "request", Verb: "denied", Environment: "prod"}, "group:default/payments", "postgres-database", []string{"audit", "ops", "portal", "team"}},
	}
	for name, tt := range tests {
		if got := c.to(tt.event, tt.owner, tt.offering); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if !c.Notable(tt.event) {
			t.Errorf("%s: not notable, though its thing might match", name)
		}
	}
	c.Routes = c.Routes[:1]
	if c.Notable(provision.Event{Entity: "request", Verb: "failed", Environment: "dev"}) {
		t.Error("what no route can match is notable")
	}
}

func TestNotificationsAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	_, err := ParseConfig([]byte(`
channels:
  two: {slack: {url_file: /nowhere}, backstage: {}}
  hook: {webhook: {url: "ftp://x", secret_file: a, secret_env: B}}
  mail: {smtp: {address: "", from: nobody, to: [], tls: maybe, username: u, password_env: ROADBED_TEST_UNSET}}
routes:
  - match: {}
    to: [nowhere]
  - match: {}
`))
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{
		"channel two: give one of", "read a secret", "channel hook: url", "give one of secret_file and secret_env", "host:port", `"nobody" is no mail address`,
		"tls is", "is empty", `route 1 goes to "nowhere"`, "route 2 goes nowhere",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
	if _, err := ParseConfig([]byte("channels: {ops: {slack: {url: https://hooks.example/secret}}}")); err == nil || !strings.Contains(err.Error(), "never written down") {
		t.Errorf("a secret in the file: %v", err)
	}
}
