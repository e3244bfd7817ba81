package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// policyDouble denies what it is told to, and remembers what it was asked.
type policyDouble struct {
	mu    sync.Mutex
	says  map[string]error
	asked []string
}

func (d *policyDouble) Permitted(_ context.Context, _ string, p provision.Permission) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, p.Name)
	return d.says[p.Name]
}

func (d *policyDouble) taken() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := strings.Join(d.asked, " ")
	d.asked = nil
	return asked
}

func TestThePortalsPolicyIsAskedWhatEachRouteIs(t *testing.T) {
	t.Parallel()
	policy := &policyDouble{says: map[string]error{}}
	r := newRig(t, func(c *httpapi.Config) { c.Permissions = policy })
	const id = "0198c0de-0000-7000-8000-000000000000"
	for route, want := range map[string]string{
		"GET /offerings": "roadbed.infrastructure.read",
		"POST /offerings/postgres-database/evaluate":                 "roadbed.infrastructure.read",
		"GET /requests/" + id:                                        "roadbed.infrastructure.read",
		"POST /requests":                                             "roadbed.instance.create",
		"POST /requests/" + id + "/retry":                            "roadbed.instance.create",
		"POST /requests/" + id + "/cancel":                           "roadbed.request.cancel",
		"POST /requests/" + id + "/approve":                          "roadbed.request.approve",
		"POST /requests/" + id + "/reject":                           "roadbed.request.approve",
		"POST /instances/" + id + "/update":                          "roadbed.instance.update",
		"POST /instances/" + id + "/drift/revert":                    "roadbed.instance.update",
		"POST /instances/" + id + "/destroy":                         "roadbed.instance.delete",
		"POST /instances/" + id + "/credentials":                     "roadbed.credentials.read",
		"POST /instances/" + id + "/journal":                         "roadbed.platform.operate",
		"POST /instances/" + id + "/state/remove":                    "roadbed.platform.operate",
		"POST /previews":                                             "roadbed.instance.create",
		"DELETE /previews/" + id:                                     "roadbed.instance.delete",
		"POST /api/v1/databases":                                     "roadbed.instance.create",
		"POST /pauses":                                               "roadbed.platform.operate",
		"GET /.backstage/actions/v1/actions":                         "",
		"GET /.well-known/backstage/permissions/metadata":            "",
		"POST /.backstage/actions/v1/actions/roadbed:check/invoke":   "roadbed.infrastructure.read",
		"POST /.backstage/actions/v1/actions/roadbed:submit/invoke":  "roadbed.instance.create",
		"POST /.backstage/actions/v1/actions/roadbed:update/invoke":  "roadbed.instance.update",
		"POST /.backstage/actions/v1/actions/roadbed:destroy/invoke": "roadbed.instance.delete",
	} {
		method, path, _ := strings.Cut(route, " ")
		r.raw(method, httpapi.Base+path, r.jsonBy(ann), "{}")
		if got := policy.taken(); got != want {
			t.Errorf("%s asks %q, want %q", route, got, want)
		}
	}
}

func TestWhatThePortalsPolicyDeniesIsDenied(t *testing.T) {
	t.Parallel()
	policy := &policyDouble{says: map[string]error{"roadbed.instance.delete": provision.Errorf(provision.Denied, "the portal's permission policy does not let you")}}
	r := newRig(t, func(c *httpapi.Config) { c.Permissions = policy })
	request := r.ready("orders")
	path := httpapi.Base + "/instances/" + request.InstanceId.String() + "/destroy"
	got := r.raw(http.MethodPost, path, r.jsonBy(ann, "Idempotency-Key", "end-1"), `{"confirm":"orders"}`)
	if body := refused(t, got); got.status != http.StatusForbidden || !strings.Contains(body.Error.Message, "the portal's permission policy") {
		t.Errorf("a denied destroy answered %d %s", got.status, got.body)
	}
	out := r.invoke(ann, "roadbed:destroy", `{"instance":"resource:dev/orders.postgres-database","confirm":"orders"}`)
	if out["decision"] != "deny" || !strings.Contains(out["text"].(string), "the portal's permission policy") {
		t.Errorf("by an action = %v", out)
	}
	policy.says["roadbed.instance.delete"] = provision.Unreachable("Backstage's permission policy", context.DeadlineExceeded)
	got = r.raw(http.MethodPost, path, r.jsonBy(ann, "Idempotency-Key", "end-1"), `{"confirm":"orders"}`)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("while the policy is away it answered %d %s", got.status, got.body)
	}
	policy.says["roadbed.instance.delete"] = nil
	got = r.raw(http.MethodPost, path, r.jsonBy(ann, "Idempotency-Key", "end-1"), `{"confirm":"orders"}`)
	if got.status != http.StatusAccepted {
		t.Errorf("once the policy allows it it answered %d %s", got.status, got.body)
	}
}

func TestThePermissionsAreDeclared(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	got := r.raw(http.MethodGet, httpapi.Base+"/.well-known/backstage/permissions/metadata", r.jsonBy("plugin:permission"), "")
	var metadata api.PermissionMetadata
	if err := json.Unmarshal([]byte(got.body), &metadata); err != nil || got.status != http.StatusOK || len(metadata.Permissions) != 8 || metadata.Rules == nil {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	for _, p := range metadata.Permissions {
		if p.Type != "basic" || !strings.HasPrefix(p.Name, "roadbed.") || p.Attributes.Action == "" {
			t.Errorf("permission %+v", p)
		}
	}
}
