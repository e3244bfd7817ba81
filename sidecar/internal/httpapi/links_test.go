package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// site asks for a page that names the endpoint of a database.
func site(name, database string) api.Submission {
	return api.Submission{Offering: "static-site", Parameters: provision.Parameters{
		"site_name": name, "environment": "dev", "title": "Status", "team_owner": "payments", "cost_center": "CC-1", "database": database,
	}}
}

func TestAnOutputOfOneInstanceIsTheInputOfAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	database := r.ready("orders")
	r.submit("busy") // not ready yet

	for value, want := range map[string]string{
		"nothing":                                "which is no instance of postgres-database that you may read",
		"busy":                                   "which is reserved; ask again once it is ready",
		"resource:dev/orders.static-site":        "which names no postgres-database; give one such as resource:dev/orders.postgres-database",
		"resource:prod/orders.postgres-database": "which is no instance of postgres-database that you may read",
		uuid.NewString():                         "which is no instance of postgres-database that you may read",
	} {
		_, err := c.Submit(t.Context(), uuid.NewString(), site("shop", value))
		if fault := kindOf(t, err, provision.Invalid); len(fault.Details) != 1 || fault.Details[0].Path != "/database" || !strings.Contains(fault.Message, want) {
			t.Errorf("database %s: %+v, want %q", value, fault, want)
		}
	}
	stranger := site("shop", "orders")
	stranger.Parameters["team_owner"] = "search"
	_, err := r.as(bob).Submit(t.Context(), uuid.NewString(), stranger)
	if fault := kindOf(t, err, provision.Invalid); !strings.Contains(fault.Message, "no instance of postgres-database that you may read") {
		t.Errorf("another team's database: %v", fault)
	}

	shop, err := c.Submit(t.Context(), "s1", site("shop", "orders"))
	if err != nil || shop.Parameters["database"] != "resource:dev/orders.postgres-database" {
		t.Fatalf("the page: %v, %v; want the database by its entity", shop.Parameters["database"], err)
	}
	byID, err := c.Submit(t.Context(), "s2", site("blog", database.InstanceId.String()))
	if err != nil || byID.Parameters["database"] != "resource:dev/orders.postgres-database" {
		t.Fatalf("by its id: %v, %v", byID.Parameters["database"], err)
	}
	worker := r.worker(poolToken)
	claim, err := worker.Claim(t.Context(), r.dispatch(shop.Id))
	if err != nil || claim.Parameters["database"] != "db.internal" {
		t.Fatalf("the module is given %v (%v), want the endpoint", claim.Parameters["database"], err)
	}
	if err := worker.Plan(t.Context(), claim.RunID, claim.Token, nil); err != nil {
		t.Fatal(err)
	}
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true}})

	made, err := c.Instance(t.Context(), *shop.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	wantLinks := []provision.Link{{Parameter: "database", InstanceID: *database.InstanceId, EntityRef: "resource:dev/orders.postgres-database", Output: "endpoint"}}
	if diff := cmp.Diff(wantLinks, made.Instance.Links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	feed, err := r.as("plugin:catalog").Entities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, entity := range feed.Entities {
		want := []string(nil)
		if entity.Spec.Type == "static-site" {
			want = []string{"resource:dev/orders.postgres-database"}
		}
		if diff := cmp.Diff(want, entity.Spec.DependsOn); diff != "" {
			t.Errorf("%s depends on (-want +got):\n%s", entity.Metadata.Name, diff)
		}
	}

	upstream, err := c.Instance(t.Context(), *database.InstanceId)
	if err != nil || len(upstream.Instance.Dependants) != 2 || upstream.Instance.Dependants[1].EntityRef != "resource:dev/shop.static-site" {
		t.Fatalf("dependants of the database: %+v, %v", upstream.Instance.Dependants, err)
	}
	preview, err := c.EvaluateChange(t.Context(), *database.InstanceId, api.ChangeEvaluation{Action: provision.Destroy})
	if err != nil || preview.Allowed || preview.Findings[0].Rule != "dependants" {
		t.Errorf("its end, looked at first: %+v, %v; want it denied for its dependants", preview.Findings, err)
	}
	_, err = c.DestroyConfirmed(t.Context(), "d1", *database.InstanceId, "orders")
	denied := kindOf(t, err, provision.Denied)
	if len(denied.Findings) != 2 || !strings.Contains(denied.Message, "resource:dev/shop.static-site takes its endpoint as database. Ask group:default/payments to change or destroy it first.") {
		t.Errorf("its end: %+v, want both dependants named", denied)
	}

	// What is taken already stays taken while its instance changes; taking nothing more lets go of it.
	if _, err := c.Update(t.Context(), "u0", *database.InstanceId, provision.Parameters{"storage_gb": 110}); err != nil {
		t.Fatal(err)
	}
	retitled, err := c.Update(t.Context(), "u1", *shop.InstanceId, provision.Parameters{"title": "Shop"})
	if err != nil {
		t.Fatalf("another title while the database changes: %v", err)
	}
	r.succeed(retitled)
	free, err := c.Update(t.Context(), "u2", *shop.InstanceId, provision.Parameters{"database": nil})
	if err != nil {
		t.Fatal(err)
	}
	r.succeed(free)
	upstream, err = c.Instance(t.Context(), *database.InstanceId)
	if err != nil || len(upstream.Instance.Dependants) != 1 || upstream.Instance.Dependants[0].Name != "blog" {
		t.Errorf("once the shop takes nothing, dependants are %+v, %v", upstream.Instance.Dependants, err)
	}
}
