package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
)

const form = `{"database_name":"orders","environment":"dev","instance_class":"db.t3.medium","storage_gb":100,"team_owner":"payments","cost_center":"CC-1234"}`

func TestFoundingPaths(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", httpapi.Base} {
		t.Run("under "+base+"/", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			got := r.raw(http.MethodPost, base+"/api/v1/databases", r.jsonBy(ann), form)
			var accepted api.DatabaseAccepted
			if err := json.Unmarshal([]byte(got.body), &accepted); err != nil || got.status != http.StatusAccepted {
				t.Fatalf("answered %d %s", got.status, got.body)
			}
			if accepted.Status != api.Pending || accepted.DatabaseName != "orders" || accepted.StatusUrl != "/api/v1/requests/"+accepted.RequestId.String() {
				t.Errorf("accepted = %+v", accepted)
			}
			got = r.raw(http.MethodGet, base+accepted.StatusUrl, r.jsonBy(ann), "")
			var status api.RequestStatus
			if err := json.Unmarshal([]byte(got.body), &status); err != nil || got.status != http.StatusOK {
				t.Fatalf("status answered %d %s", got.status, got.body)
			}
			if status.Resource != (api.RequestedResource{Type: "postgres-database", Name: "orders", Environment: "dev"}) ||
				status.Outputs != nil || status.Error != nil || status.Steps[0].Name != "Validate request" || status.Steps[0].DurationSeconds == nil {
				t.Errorf("status = %+v", status)
			}
			if logs := r.raw(http.MethodGet, base+status.LogsUrl, r.jsonBy(ann), ""); logs.status != http.StatusOK {
				t.Errorf("logs answered %d", logs.status)
			}

			got = r.raw(http.MethodPost, base+"/api/v1/databases", r.jsonBy(ann), form)
			if body := refused(t, got); got.status != http.StatusConflict || body.Error.Message != "Database 'orders' already exists in dev" {
				t.Errorf("the same name answered %d %q", got.status, body.Error.Message)
			}
			got = r.raw(http.MethodPost, base+"/api/v1/databases", r.jsonBy(ann), strings.Replace(form, `"storage_gb":100`, `"storage_gb":100,"multi_az":true`, 1))
			body := refused(t, got)
			if got.status != http.StatusForbidden || !strings.HasPrefix(body.Error.Message, "Policy violation: ") || len(body.Error.Findings) == 0 || body.Error.RequestId == "" {
				t.Errorf("a denial answered %d %+v", got.status, body.Error)
			}
			got = r.raw(http.MethodGet, base+"/api/v1/requests/"+body.Error.RequestId, r.jsonBy(ann), "")
			if err := json.Unmarshal([]byte(got.body), &status); err != nil || status.Status != api.Failed || status.Error == nil {
				t.Errorf("the denied request = %s", got.body)
			}
			got = r.raw(http.MethodPost, base+"/api/v1/databases", r.jsonBy(ann), strings.Replace(form, "100", "5", 1))
			if body := refused(t, got); got.status != http.StatusBadRequest || len(body.Error.Details) != 1 {
				t.Errorf("too little storage answered %d %+v", got.status, body.Error)
			}
			got = r.raw(http.MethodGet, base+"/api/v1/requests/00000000-0000-4000-8000-000000000000", r.jsonBy(ann), "")
			if body := refused(t, got); got.status != http.StatusNotFound || body.Error.Message != "Request not found" {
				t.Errorf("an unknown request answered %d %q", got.status, body.Error.Message)
			}
			got = r.raw(http.MethodPost, base+"/api/v1/catalog/postgres-database/estimate", r.jsonBy(ann), `{"database_name":"","environment":"dev","instance_class":"db.t3.medium","storage_gb":100,"team_owner":"","cost_center":""}`)
			if got.status != http.StatusOK || !strings.Contains(got.body, `"monthly_cost":85.50`) {
				t.Errorf("the form's estimate answered %d %s", got.status, got.body)
			}
		})
	}
}

func TestTheDocumentAndTheRouterAgree(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	routes := 0
	for path, item := range r.contract.doc.Paths.Map() {
		bases := []string{httpapi.Base}
		if len(item.Servers) > 0 {
			bases = nil
			for _, server := range item.Servers {
				bases = append(bases, strings.TrimSuffix(server.URL, "/"))
			}
		}
		at := strings.NewReplacer("{id}", "0198c0de-0000-7000-8000-000000000000", "{answer}", "needed", "{version}", "1.0.0", "{move}", "publish", "{shape}", "aaaa", "{action}", "roadbed%3Acheck", "{digest}", "sha256:"+strings.Repeat("0", 64)).Replace(path)
		for method, operation := range item.Operations() {
			for _, base := range bases {
				routes++
				got := r.raw(method, base+at, nil, "")
				want := http.StatusUnauthorized
				if operation.Security != nil && len(*operation.Security) == 0 {
					want = http.StatusOK
				}
				if got.status != want {
					t.Errorf("%s %s without a token answered %d, want %d", method, base+at, got.status, want)
				}
			}
		}
	}
	if served := r.server.Routes(); served != routes {
		t.Errorf("%d routes are served and %d described", served, routes)
	}
}
