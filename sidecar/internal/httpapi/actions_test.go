package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const actionsPath = httpapi.Base + "/.backstage/actions"

// offered are the actions as the list has them.
func (r *rig) offered() []api.OfferedAction {
	r.t.Helper()
	got := r.raw(http.MethodGet, actionsPath+"/v1/actions", r.jsonBy(ann), "")
	var list api.ActionList
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK {
		r.t.Fatalf("the list answered %d %s", got.status, got.body)
	}
	return list.Actions
}

// invoke runs an action; its output must be as its own schema says.
func (r *rig) invoke(subject, id, input string) map[string]any {
	r.t.Helper()
	got := r.raw(http.MethodPost, actionsPath+"/v1/actions/"+url.PathEscape(id)+"/invoke", r.jsonBy(subject), input)
	return r.output(id, got)
}

func (r *rig) output(id string, got answer) map[string]any {
	r.t.Helper()
	var body struct {
		Output map[string]any `json:"output"`
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != http.StatusOK || body.Output == nil {
		r.t.Fatalf("%s answered %d %s", id, got.status, got.body)
	}
	for _, a := range r.offered() {
		if a.Id != id {
			continue
		}
		text, err := json.Marshal(a.Schema.Output)
		if err != nil {
			r.t.Fatal(err)
		}
		var schema openapi3.Schema
		if err := errors.Join(schema.UnmarshalJSON(text), schema.VisitJSON(body.Output)); err != nil {
			r.t.Errorf("the output of %s is not as its schema says: %v\n%s", id, err, got.body)
		}
	}
	return body.Output
}

const ordersAsk = `{"offering":"postgres-database","requestKey":"task-1","parameters":{"database_name":"orders","environment":"dev","team_owner":"payments","cost_center":"CC-1234"}}`

func TestTheActionsAreListedFromMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.store.Close() // a list that asked anyone would fail, or hang every template of the portal
	var ids []string
	for _, a := range r.offered() {
		ids = append(ids, a.Id)
		if a.Id != string(a.PluginId)+":"+a.Name || a.Title == "" || a.Description == "" || a.Schema.Input["type"] != "object" || a.Schema.Output["type"] != "object" {
			t.Errorf("action %+v cannot be used", a)
		}
		if a.Attributes.ReadOnly && a.Attributes.Destructive {
			t.Errorf("%s both changes nothing and destroys", a.Id)
		}
	}
	want := []string{"roadbed:list-offerings", "roadbed:check", "roadbed:submit", "roadbed:expect-accepted", "roadbed:get-request", "roadbed:list-instances", "roadbed:update", "roadbed:destroy"}
	if !slices.Equal(ids, want) {
		t.Errorf("actions %v, want %v", ids, want)
	}
	if got := r.raw(http.MethodGet, actionsPath+"/v1/status", r.jsonBy(ann), ""); got.body != "{\"hasActions\":true}\n" {
		t.Errorf("status answered %d %s", got.status, got.body)
	}
}

// slowAuth never finds out who asks.
type slowAuth struct{}

func (slowAuth) Authenticate(ctx context.Context, _ string) (provision.Principal, error) {
	<-ctx.Done()
	return provision.Principal{}, provision.Unreachable("Backstage", ctx.Err())
}

func TestTheListOfActionsNeverHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Auth = slowAuth{} })
	began := time.Now()
	got := r.raw(http.MethodGet, actionsPath+"/v1/actions", r.jsonBy(ann), "")
	if took := time.Since(began); got.status != http.StatusServiceUnavailable || took > 10*time.Second {
		t.Errorf("answered %d after %s", got.status, took)
	}
}

func TestAnActionAsksOnceForEachKeyAndInput(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first := r.invoke(ann, "roadbed:submit", ordersAsk)
	if first["decision"] != "allow" || first["accepted"] != true || first["state"] != "queued" || first["entityRef"] != "resource:dev/orders.postgres-database" ||
		!strings.HasPrefix(first["estimate"].(string), "$85.50 / month (") || !strings.HasPrefix(first["requestUrl"].(string), "https://portal.example/") {
		t.Errorf("outcome = %v", first)
	}
	// The same ask with its members in another order, as a task that is retried may send it.
	again := r.invoke(ann, "roadbed:submit", `{"parameters":{"cost_center":"CC-1234","team_owner":"payments","environment":"dev","database_name":"orders"},"requestKey":"task-1","offering":"postgres-database"}`)
	if again["requestId"] != first["requestId"] {
		t.Errorf("the same key and input made request %v, want %v", again["requestId"], first["requestId"])
	}
	other := r.invoke(ann, "roadbed:submit", strings.Replace(ordersAsk, `"orders"`, `"parcels"`, 1))
	if other["accepted"] != true || other["requestId"] == first["requestId"] {
		t.Errorf("another database of the same task = %v", other)
	}
	if taken := r.invoke(ann, "roadbed:submit", strings.Replace(ordersAsk, "task-1", "task-2", 1)); taken["decision"] != "conflict" || taken["accepted"] != false ||
		!strings.Contains(taken["text"].(string), "orders") {
		t.Errorf("a taken name = %v", taken)
	}
	request, err := r.as(ann).Request(t.Context(), uuid.MustParse(first["requestId"].(string)))
	if err != nil || request.Task != "" { // ann came alone; a scaffolder's key is its task
		t.Errorf("request = %+v, %v", request, err)
	}
}

func TestWhatIsAnAnswerToAPersonIsAnOutcome(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.AlternativesWithin = time.Minute // this machine may be busy
	large := strings.Replace(ordersAsk, `"environment":"dev"`, `"environment":"dev","storage_gb":900,"multi_az":true`, 1)
	denied := r.invoke(ann, "roadbed:submit", large)
	if denied["decision"] != "deny" || denied["accepted"] != false || denied["requestId"] == "" || !strings.Contains(denied["text"].(string), "exceeds limit") ||
		!strings.Contains(denied["text"].(string), "Smallest changes that fit") {
		t.Errorf("a denial = %v", denied)
	}
	if again := r.invoke(ann, "roadbed:submit", large); again["requestId"] != denied["requestId"] {
		t.Errorf("a denial that is repeated = %v", again)
	}
	checked := r.invoke(ann, "roadbed:check", strings.Replace(large, `"requestKey":"task-1",`, "", 1))
	if checked["decision"] != "deny" || checked["accepted"] != false || checked["requestId"] != "" || !strings.HasPrefix(checked["text"].(string), "This is not allowed. $") {
		t.Errorf("a check of it = %v", checked)
	}
	if allowed := r.invoke(ann, "roadbed:check", strings.Replace(ordersAsk, `"requestKey":"task-1",`, "", 1)); allowed["decision"] != "allow" || !strings.HasPrefix(allowed["text"].(string), "This is allowed. $85.50") {
		t.Errorf("a check of what is allowed = %v", allowed)
	}
	faults := r.invoke(ann, "roadbed:submit", `{"offering":"postgres-database","parameters":{"database_name":"X","environment":"dev","storage_gb":5,"team_owner":"payments","cost_center":"CC-1"}}`)
	if reasons := faults["reasons"].([]any); faults["decision"] != "invalid" || len(reasons) != 2 || !strings.HasPrefix(reasons[0].(string), "/database_name: ") {
		t.Errorf("two faults = %v", faults)
	}
	if none := r.invoke(ann, "roadbed:submit", `{"offering":"mainframe","parameters":{}}`); none["decision"] != "not_found" || !strings.Contains(none["text"].(string), "mainframe") {
		t.Errorf("an unknown offering = %v", none)
	}
	if stranger := r.invoke(bob, "roadbed:submit", ordersAsk); stranger["decision"] != "deny" || !strings.Contains(stranger["text"].(string), "not a member of group:default/payments") {
		t.Errorf("someone of another team = %v", stranger)
	}
	plugin := r.raw(http.MethodPost, actionsPath+"/v1/actions/roadbed:submit/invoke", r.jsonBy("plugin:scaffolder"), ordersAsk)
	if out := r.output("roadbed:submit", plugin); out["decision"] != "deny" || !strings.Contains(out["text"].(string), "only a person may ask") {
		t.Errorf("a plugin on nobody's behalf = %v", out)
	}

	for path, want := range map[string]int{"/v1/actions/roadbed:nothing/invoke": http.StatusNotFound, "/v1/actions/roadbed:expect-accepted/invoke": http.StatusForbidden} {
		got := r.raw(http.MethodPost, actionsPath+path, r.jsonBy(ann), `{"accepted":false,"text":"It was denied."}`)
		if body := refused(t, got); got.status != want || want == http.StatusForbidden && body.Error.Message != "It was denied." {
			t.Errorf("%s answered %d %s", path, got.status, got.body)
		}
	}
	if out := r.invoke(ann, "roadbed:expect-accepted", `{"accepted":true}`); out["accepted"] != true {
		t.Errorf("what was accepted = %v", out)
	}
	got := r.raw(http.MethodPost, actionsPath+"/v1/actions/roadbed:check/invoke", r.jsonBy(ann), `{"offring":"postgres-database"}`)
	if body := refused(t, got); got.status != http.StatusBadRequest || len(body.Error.Details) != 1 {
		t.Errorf("a member that is not known answered %d %s", got.status, got.body)
	}
	r.store.Close()
	got = r.raw(http.MethodPost, actionsPath+"/v1/actions/roadbed:submit/invoke", r.jsonBy(ann), strings.Replace(ordersAsk, "task-1", "task-9", 1))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without its database it answered %d %s", got.status, got.body)
	}
}

func TestSecretsComeApartFromTheInput(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	got := r.raw(http.MethodPost, actionsPath+"/v2/actions/roadbed:submit/invoke", r.jsonBy(ann),
		`{"input":`+ordersAsk+`,"secrets":{"admin_password":"`+secret+`"}}`)
	if out := r.output("roadbed:submit", got); out["decision"] != "invalid" || !strings.Contains(out["text"].(string), "admin_password") || strings.Contains(got.body, secret) {
		t.Errorf("a secret that the offering does not know = %s", got.body)
	}
	got = r.raw(http.MethodPost, actionsPath+"/v2/actions/roadbed:submit/invoke", r.jsonBy(ann), `{"input":`+ordersAsk+`}`)
	if out := r.output("roadbed:submit", got); out["decision"] != "allow" {
		t.Errorf("without secrets = %s", got.body)
	}
}

func TestActionsFollowAndEndWhatTheyMade(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request := r.ready("orders")
	id := `{"requestId":"` + request.Id.String() + `"}`
	done := r.invoke(ann, "roadbed:get-request", id)
	if done["found"] != true || done["done"] != true || done["state"] != "succeeded" || done["outputs"].(map[string]any)["endpoint"] != "db.internal" {
		t.Errorf("a request that has succeeded = %v", done)
	}
	for subject, input := range map[string]string{bob: id, ann: `{"requestId":"00000000-0000-4000-8000-000000000000"}`} {
		if out := r.invoke(subject, "roadbed:get-request", input); out["found"] != false || out["text"] == "" {
			t.Errorf("what %s may not see = %v", subject, out)
		}
	}
	list := r.invoke(ann, "roadbed:list-instances", `{"environment":"dev"}`)["instances"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["entityRef"] != "resource:dev/orders.postgres-database" || list[0].(map[string]any)["monthlyCost"] != "$85.50" {
		t.Errorf("ann's instances = %v", list)
	}
	if others := r.invoke(bob, "roadbed:list-instances", `{}`)["instances"].([]any); len(others) != 0 {
		t.Errorf("bob's instances = %v", others)
	}
	offerings := r.invoke(bob, "roadbed:list-offerings", `{}`)
	if environments := offerings["environments"].([]any); len(environments) != 2 || len(offerings["offerings"].([]any)) < 2 {
		t.Errorf("offerings = %v", offerings)
	}

	const named = `"instance":"resource:dev/orders.postgres-database"`
	if out := r.invoke(bob, "roadbed:update", `{`+named+`,"parameters":{"storage_gb":120}}`); out["decision"] != "deny" {
		t.Errorf("someone of another team changes it = %v", out)
	}
	if out := r.invoke(ann, "roadbed:update", `{`+named+`,"parameters":{"database_name":"other"}}`); out["decision"] != "invalid" {
		t.Errorf("what may not change = %v", out)
	}
	changed := r.invoke(ann, "roadbed:update", `{`+named+`,"requestKey":"task-3","parameters":{"storage_gb":120}}`)
	if changed["accepted"] != true || !strings.HasPrefix(changed["text"].(string), "Update of orders in dev was asked for.") {
		t.Errorf("a change = %v", changed)
	}
	if out := r.invoke(ann, "roadbed:destroy", `{`+named+`,"confirm":"order"}`); out["decision"] != "invalid" {
		t.Errorf("a name that was not typed = %v", out)
	}
	for _, unknown := range []string{"resource:dev/nothing.postgres-database", "orders", "component:dev/orders.postgres-database"} {
		if out := r.invoke(ann, "roadbed:destroy", `{"instance":"`+unknown+`","confirm":"orders"}`); out["accepted"] != false {
			t.Errorf("%s = %v", unknown, out)
		}
	}
	if out := r.invoke(ann, "roadbed:destroy", `{`+named+`,"confirm":"orders","requestKey":"task-4"}`); out["accepted"] != true || out["decision"] != "allow" {
		t.Errorf("the end of it = %v", out)
	}
}
