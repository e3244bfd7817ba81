package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// forEverybody are the routes that answer whoever has a good token, with nothing
// of what a team has.
var forEverybody = []string{
	"GET /environments", "GET /offerings", "GET /offerings/{id}", "GET /offerings/{id}/versions", "GET /exemptions", "GET /calendar", "GET /pauses",
	"GET /measures", "GET /me", "GET /budgets", "GET /campaigns", "GET /requests", "GET /instances", "GET /approvals", "GET /previews", "GET /drift", "GET /unused",
	"POST /offerings/{id}/estimate", "POST /imports", "POST /api/v1/catalog/{id}/estimate", "GET /.backstage/actions/v1/actions", "GET /.backstage/actions/v1/status",
	"POST /.backstage/actions/v1/actions/{action}/invoke", "POST /.backstage/actions/v2/actions/{action}/invoke", // what they and imports refuse is an outcome
	"GET /.well-known/backstage/permissions/metadata",
}

// asks are bodies that are understood, so that nobody is refused for those.
var asks = map[string]string{
	"POST /requests":                        `{"offering":"postgres-database","parameters":{"database_name":"theirs","environment":"dev","team_owner":"payments","cost_center":"CC-1234"}}`,
	"POST /offerings/{id}/evaluate":         `{"parameters":{"database_name":"theirs","environment":"dev","team_owner":"payments","cost_center":"CC-1234"}}`,
	"POST /offerings/{id}/estimate":         `{"parameters":{"instance_class":"db.t3.small"}}`,
	"POST /api/v1/catalog/{id}/estimate":    `{"instance_class":"db.t3.small"}`,
	"POST /api/v1/databases":                `{"database_name":"theirs","environment":"dev","team_owner":"payments","cost_center":"CC-1234"}`,
	"POST /pauses":                          `{"kind":"everything","reason":"mine"}`,
	"POST /campaigns":                       `{"offering":"postgres-database","version":"99.0.0"}`,
	"POST /campaigns/{id}/opt-out":          `{"owner":"group:default/payments","until":"2099-01-01T00:00:00Z","reason":"mine"}`,
	"POST /campaigns/{id}/halt":             `{"reason":"mine"}`,
	"POST /campaigns/{id}/stop":             `{"reason":"mine"}`,
	"POST /requests/{id}/reject":            `{"reason":"mine"}`,
	"POST /requests/{id}/recovery/attest":   `{"reason":"mine"}`,
	"POST /requests/{id}/recovery/recover":  `{"reason":"mine"}`,
	"POST /requests/{id}/recovery/conclude": `{"result":"failed","reason":"mine"}`,
	"POST /instances/{id}/journal":          `{"address":"postgres_database.main","reason":"mine"}`,
	"POST /instances/{id}/state/remove":     `{"address":"postgres_database.main","reason":"mine"}`,
	"POST /instances/{id}/evaluate":         `{"parameters":{"storage_gb":50}}`,
	"POST /instances/{id}/update":           `{"parameters":{"storage_gb":50}}`,
	"POST /instances/{id}/hand-over":        `{"owner":"search"}`,
	"POST /instances/{id}/extend":           `{"by":"24h"}`,
	"POST /instances/{id}/destroy":          `{"confirm":"canaryorders"}`,
	"POST /instances/{id}/drift/suppress":   `{"until":"2099-01-01T00:00:00Z","reason":"mine"}`,
	"POST /instances/{id}/unused/{answer}":  `{"until":"2099-01-01T00:00:00Z","reason":"mine"}`,
	"POST /imports":                         `{"items":[{"offering":"postgres-database","parameters":{"database_name":"theirs","environment":"dev","team_owner":"payments","cost_center":"CC-1234"},"resources":[]}]}`,
	"POST /previews":                        `{"repository":"acme/orders","pull_request":42,"owner":"payments"}`,
	"POST /previews/{id}/extend":            `{"by":"24h"}`,
	"POST /measures/tickets":                `{"items":[{"date":"2026-11-01","count":3}]}`,
}

// TestNobodyReadsOrChangesWhatIsAnothersByAnyRoute goes through every route of
// the API as whoever has a good token and no right to what it names. A route
// that is new is refused to them, or stands in forEverybody.
func TestNobodyReadsOrChangesWhatIsAnothersByAnyRoute(t *testing.T) {
	t.Parallel()
	r, pipeline := pipelines(t)
	base := r.base("canaryorders")
	lost, _ := r.applying("canarylost")
	r.successor()
	campaign, err := r.as(pat).MakeCampaign(t.Context(), "c", api.CampaignAsk{Offering: "postgres-database", Version: "99.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	own, err := client.New(r.url(), pipeline("acme/orders", "refs/pull/42/merge"))
	if err != nil {
		t.Fatal(err)
	}
	preview, err := own.MakePreview(t.Context(), "p", api.PreviewAsk{Repository: "acme/orders", PullRequest: 42, Owner: "payments"})
	if err != nil {
		t.Fatal(err)
	}
	// What stands for the id: of the thing itself, and of one of another kind.
	ids := map[string][]string{
		"requests": {base.Id.String(), lost.Id.String(), preview.Members[0].Request.Id.String()}, "instances": {base.InstanceId.String(), lost.InstanceId.String()},
		"campaigns": {campaign.Id.String(), base.InstanceId.String()}, "previews": {preview.Id.String(), base.InstanceId.String()},
		"offerings": {"postgres-database"}, "catalog": {"postgres-database"}, "pauses": {base.Id.String()},
	}
	strangers := map[string]http.Header{
		"another team's member":         r.jsonBy(bob),
		"a plugin on nobody's behalf":   r.jsonBy("plugin:scaffolder"),
		"the catalog plugin":            r.jsonBy("plugin:catalog"),
		"another repository's pipeline": bearer(pipeline("acme/site", "refs/pull/42/merge")),
		"another pull request's":        bearer(pipeline("acme/orders", "refs/pull/41/merge")),
	}
	before := r.everything()
	for who, header := range strangers {
		for path, item := range r.contract.doc.Paths.Map() {
			if strings.HasPrefix(path, "/worker/") {
				continue
			}
			_, kind, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1"), "/")
			kind, _, _ = strings.Cut(kind, "/")
			for method, operation := range item.Operations() {
				if operation.Security != nil && len(*operation.Security) == 0 {
					continue // keys and health
				}
				route := method + " " + path
				for n, id := range append(ids[kind], "none")[:max(1, len(ids[kind]))] {
					at := strings.NewReplacer("{id}", id, "{answer}", "needed", "{version}", "99.0.0", "{move}", "withdraw", "{shape}", "aaaa", "{action}", "roadbed%3Alist-instances").Replace(path)
					sent := header.Clone()
					sent.Set("Idempotency-Key", who+route+id)
					sent.Set("Accept", "application/json")
					body := asks[route]
					if body == "" && method != http.MethodGet {
						body = "{}"
					}
					got := r.raw(method, httpapi.Base+at, sent, body)
					open := slices.Contains(forEverybody, route) || who == "the catalog plugin" && strings.HasPrefix(path, "/entities")
					refused := got.status == http.StatusForbidden || got.status == http.StatusNotFound
					switch {
					case open && (got.status < 300 || refused), strings.HasPrefix(path, "/entities") && open:
					case !refused:
						t.Errorf("%s: %s (id %d) answered %d, want 403 or 404: %.300s", who, route, n, got.status, got.body)
					}
					if who == "the catalog plugin" && open {
						continue
					}
					// The names are what only they know who may read them.
					for _, mine := range []string{"canary", "db.internal", secret, "lineage-1"} {
						if strings.Contains(strings.ReplaceAll(got.body, body, ""), mine) {
							t.Errorf("%s reads %q by %s: %.300s", who, mine, route, got.body)
						}
					}
				}
			}
		}
	}
	if diff := cmp.Diff(before, r.everything()); diff != "" {
		t.Errorf("somebody changed what is not theirs (-before +after):\n%s", diff)
	}
}

// everything is all instances and what is asked of them, as JSON by id.
func (r *rig) everything() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	keep := func(id string, thing any) {
		text, err := json.Marshal(thing)
		if err != nil {
			r.t.Fatal(err)
		}
		all[id] = string(text)
	}
	requests, err := r.store.Requests(r.t.Context(), provision.RequestFilter{Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, request := range requests.Items {
		if request.State != provision.DeniedState { // that an ask was denied is kept, and is its asker's
			keep(request.ID.String(), request)
		}
	}
	instances, err := r.store.Instances(r.t.Context(), provision.InstanceFilter{Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, instance := range instances.Items {
		keep(instance.ID.String(), instance)
	}
	return all
}

func bearer(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
}

// carrying is an authenticator of which each user comes through the scaffolder.
type carrying struct{ httpapi.Authenticator }

func (c carrying) Authenticate(ctx context.Context, authorization string) (provision.Principal, error) {
	p, err := c.Authenticator.Authenticate(ctx, authorization)
	p.Actor = "plugin:scaffolder"
	return p, err
}

// TestATemplateOpensNoCredentials is what a template could do
// with the token of a person who runs it: ask, and not read what it has got.
func TestATemplateOpensNoCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Auth = carrying{c.Auth} })
	made := r.ready("orders")
	_, err := r.as(ann).Credentials(t.Context(), *made.InstanceId)
	if said := kindOf(t, err, provision.Denied).Message; !strings.Contains(said, "by people themselves") {
		t.Errorf("credentials: %q, want who may open them", said)
	}
}
