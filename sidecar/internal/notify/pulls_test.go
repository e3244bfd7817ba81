package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// github is GitHub's issue comments, as its REST API has them; what a client
// sends otherwise is a fault of the test.
type github struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	comments []forgeComment // of pull request 42
	calls    []string
	broken   bool          // a comment is made, and the answer says that it was not
	slow     time.Duration // how long a comment takes to be made
}

type forgeComment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
}

func newGitHub(t *testing.T, before int) *github {
	t.Helper()
	g := &github{t: t}
	for i := range before {
		g.comments = append(g.comments, forgeComment{int64(i + 1), fmt.Sprintf("> %s\nlooks good %d", marker(pull.ID), i)})
	}
	g.Server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.Close)
	return g
}

func (g *github) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.calls = append(g.calls, r.Method+" "+r.URL.Path)
	slow := g.slow
	g.mu.Unlock()
	for header, want := range map[string]string{
		"Authorization": "Bearer ghs_canary", "Accept": "application/vnd.github+json", "X-Github-Api-Version": "2022-11-28", "User-Agent": "roadbed",
	} {
		if got := r.Header.Get(header); got != want {
			g.t.Errorf("%s %s has the header %s %q, want %q", r.Method, r.URL.Path, header, got, want)
		}
	}
	var sent map[string]string
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent) != 1 || sent["body"] == "" || r.Header.Get("Content-Type") != "application/json" {
			g.t.Errorf("%s %s sends %v (%v), want a body alone", r.Method, r.URL.Path, sent, err)
		}
	}
	if r.Method == http.MethodPost {
		<-time.After(slow)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var id int64
	switch _, err := fmt.Sscanf(r.URL.Path, "/repos/acme/orders/issues/comments/%d", &id); {
	case r.Method == http.MethodPatch && err == nil && id > 0 && int(id) <= len(g.comments):
		g.comments[id-1].Body = sent["body"]
		_ = json.NewEncoder(w).Encode(g.comments[id-1])
	case r.URL.Path != "/repos/acme/orders/issues/42/comments":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		var page int
		_, err := fmt.Sscanf(r.URL.Query().Get("per_page")+" "+r.URL.Query().Get("page"), "100 %d", &page)
		if err != nil || page < 1 {
			g.t.Errorf("the list is asked for with %q", r.URL.RawQuery)
			page = 1
		}
		from := min((page-1)*100, len(g.comments))
		_ = json.NewEncoder(w).Encode(g.comments[from:min(from+100, len(g.comments))])
	case r.Method == http.MethodPost:
		g.comments = append(g.comments, forgeComment{int64(len(g.comments) + 1), sent["body"]})
		if g.broken {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(g.comments[len(g.comments)-1])
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// ours are the comments that begin with our marker.
func (g *github) ours() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ours []string
	for _, c := range g.comments {
		if strings.HasPrefix(c.Body, marker(pull.ID)) {
			ours = append(ours, c.Body)
		}
	}
	return ours
}

func (g *github) config(t *testing.T) GitHubConfig {
	return GitHubConfig{URL: g.URL, TokenFile: secretFile(t, "ghs_canary"), Address: "https://{name}.preview.example.com"}
}

var pull = provision.PullRequest{ID: uuid.MustParse("3f0f7d1e-6a43-5b0c-8f5f-0a7d3a1b2c3d"), Name: "pr-42", Repository: "acme/orders", Number: 42, Base: "staging"}

// previews is what lives of a preview.
type previews struct {
	living  []provision.Instance
	request provision.Request
}

func (p *previews) Request(context.Context, uuid.UUID) (provision.Request, error) {
	return p.request, nil
}

func (p *previews) Instance(_ context.Context, id uuid.UUID) (provision.Instance, error) {
	for _, i := range p.living {
		if i.ID == id {
			return i, nil
		}
	}
	return provision.Instance{ID: id, State: provision.Destroyed, Preview: &pull}, nil
}

func (p *previews) Instances(context.Context, provision.InstanceFilter) (provision.Page[provision.Instance], error) {
	return provision.Page[provision.Instance]{Items: p.living}, nil
}

func (p *previews) Exclusively(ctx context.Context, _ string, do func(context.Context) error) error {
	return do(ctx)
}

func member(name string, state provision.InstanceState, outputs map[string]any) provision.Instance {
	cost, end := provision.Money(43_500), now.Add(24*time.Hour)
	return provision.Instance{
		ID: uuid.New(), Name: name, Offering: "postgres-database", Owner: "group:default/payments", State: state, MonthlyCost: &cost,
		Outputs: outputs, Preview: &pull, ExpiresAt: &end,
	}
}

func TestAPullRequestHasOneCommentThatIsKeptTrue(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, 130) // people's, which quote it
	p := &previews{living: []provision.Instance{
		member("pr-42-orders", provision.Ready, map[string]any{"endpoint": "db.internal", "port": json.Number("5432"), "monitoring_dashboard": "https://grafana.example/d/1"}),
		member("pr-42-site", provision.Reserved, map[string]any{"url": "https://x.example/|a|"}),
	}}
	c := pulls{g.config(t), http.DefaultClient, p, "https://portal.example/", clock}
	tell := func(entity, verb string) string {
		t.Helper()
		id := uuid.New()
		if len(p.living) > 0 {
			id = p.living[0].ID
		}
		e, about := anEvent(entity, verb, nil), aRequest(func(r *provision.Request) { r.InstanceID = id })
		if err := c.send(t.Context(), e.ID, e, about, message{}); err != nil {
			t.Fatalf("%s.%s: %v", entity, verb, err)
		}
		ours := g.ours()
		if len(ours) != 1 {
			t.Fatalf("after %s.%s there are %d comments, want one", entity, verb, len(ours))
		}
		return ours[0]
	}
	has := func(body string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(body, want) {
				t.Errorf("the comment lacks %q:\n%s", want, body)
			}
		}
	}
	made := tell("request", "succeeded")
	has(made, "### Preview pr-42\n", "https://pr-42.preview.example.com\n", "| pr-42-orders (postgres-database) | ready | `db.internal:5432` | $43.50 |",
		"| pr-42-site (postgres-database) | being made | `https://x.example/\\|a\\|` | $43.50 |", "Copied from staging for `group:default/payments`, at $87.00 a month",
		"It will be deleted in 24 hours (Wed 25 Nov 12:00 UTC)", "[Extend it or delete it](https://portal.example/infrastructure/previews)")

	p.request.State = provision.AwaitingApproval
	soon := now.Add(90 * time.Minute)
	p.living[0].ExpiresAt = &soon
	has(tell("instance", "expiring"), "waits for approval", "deleted in 90 minutes")
	before := len(g.calls)
	tell("instance", "expiring") // the same again
	if calls := g.calls[before:]; len(calls) != 2 || slices.ContainsFunc(calls, func(c string) bool { return !strings.HasPrefix(c, "GET") }) {
		t.Errorf("what is said already is said again: %q", calls)
	}

	p.living = nil
	has(tell("request", "succeeded"), "It is gone.")
	if n := len(g.comments); n != 131 {
		t.Errorf("the pull request has %d comments, want ours and the 130 of before", n)
	}
}

func TestAReasonIsNoMarkdown(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, 0)
	expired := member("pr-42-orders", provision.Ready, nil)
	c := pulls{g.config(t), http.DefaultClient, &previews{living: []provision.Instance{expired}}, "", clock}
	m := message{title: "pr-42-orders has expired and could not be destroyed", text: "no `x` <img src=//evil> @everyone\n# big [click](//evil)", grave: true}
	if err := c.send(t.Context(), uuid.New(), provision.Event{Entity: "instance", Verb: "expired"}, subject{instance: &expired}, m); err != nil {
		t.Fatal(err)
	}
	want := "\n> `pr-42-orders has expired and could not be destroyed. no 'x' <img src=//evil> @everyone`\n> `# big [click](//evil)`\n"
	if ours := g.ours(); len(ours) != 1 || !strings.Contains(ours[0], want) {
		t.Errorf("the comments are %q, want the reason as it was typed: %q", ours, want)
	}
}

func TestACommentThatWasMadeWithoutAWordIsFoundAgain(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, 0)
	g.broken = true
	p := &previews{living: []provision.Instance{member("pr-42-orders", provision.Ready, nil)}}
	c := pulls{g.config(t), http.DefaultClient, p, "", clock}
	e, about := anEvent("request", "succeeded", nil), aRequest(func(r *provision.Request) { r.InstanceID = p.living[0].ID })
	if err := c.send(t.Context(), e.ID, e, about, message{}); err == nil || strings.Contains(err.Error(), "ghs_canary") {
		t.Errorf("a forge that answers 502: %v, want an error without the token", err)
	}
	if err := c.send(t.Context(), e.ID, e, about, message{}); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
	if ours := g.ours(); len(ours) != 1 {
		t.Errorf("there are %d comments, want one", len(ours))
	}
}

func TestWhatIsNoPreviewOfTheForgeIsNotCommented(t *testing.T) {
	t.Parallel()
	g := newGitHub(t, 0)
	theirs := member("pr-42-orders", provision.Ready, nil)
	plain := member("orders", provision.Ready, nil)
	plain.Preview = nil
	config := g.config(t)
	config.Repositories = []string{"acme/site", "other/*"}
	for name, about := range map[string]subject{
		"another repository's": {instance: &theirs}, "what is for itself": {instance: &plain}, "what is gone": {}, "a denied request": aRequest(nil),
	} {
		c := pulls{config, http.DefaultClient, &previews{}, "", clock}
		if err := c.send(t.Context(), uuid.New(), anEvent("instance", "expiring", nil), about, message{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := pulls{g.config(t), http.DefaultClient, &previews{}, "", clock}
	if err := gone.send(t.Context(), uuid.New(), anEvent("instance", "expiring", nil), subject{instance: &theirs}, message{}); err != nil {
		t.Error(err)
	}
	if ours := g.ours(); len(ours) != 0 {
		t.Errorf("comments were made: %q", ours)
	}
}

func TestTwoReplicasMakeOneComment(t *testing.T) {
	t.Parallel()
	g, dsn := newGitHub(t, 0), testkit.Database(t)
	g.slow = 1500 * time.Millisecond // the other replica looks within a second, and would find none
	config := g.config(t)
	c := Config{
		Channels: map[string]ChannelConfig{"pulls": {GitHub: &config}},
		Routes:   []Route{{Match: Match{Entity: oneOf{"request"}}, To: []string{"pulls"}}},
	}
	store := openStore(t, dsn, c)
	for i := range 6 {
		record := testkit.Created(fmt.Sprintf("pr-42-db%d", i), nil)
		record.Instance.Preview = &pull
		if err := store.Accept(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	for _, replica := range []*postgres.Store{store, openStore(t, dsn, c)} {
		start(t, replica, c)
	}
	testkit.Eventually(t, 20*time.Second, "every notice has been sent", func() bool {
		waiting, failed, err := store.CountNotices(t.Context())
		return err == nil && waiting == 0 && failed == 0
	})
	ours := g.ours()
	if len(ours) != 1 {
		t.Fatalf("there are %d comments, want one", len(ours))
	}
	for i := range 6 {
		if !strings.Contains(ours[0], fmt.Sprintf("| pr-42-db%d (", i)) {
			t.Errorf("the comment lacks db%d:\n%s", i, ours[0])
		}
	}
}

func TestAFileOfNotificationsSaysWhatIsWrongWithAForge(t *testing.T) {
	t.Parallel()
	_, err := ParseConfig([]byte(`
channels: {pulls: {github: {url: "http://github.example", address: "https://preview.example"}}}
routes: [{match: {}, to: [pulls]}]
`))
	for _, want := range []string{"give one of token_file and token_env", "by https", "{name}.preview.example.com"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the fault %q is not told: %v", want, err)
		}
	}
}
