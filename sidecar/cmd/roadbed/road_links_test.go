package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestRoadLinks makes a database and a page that names its endpoint: the page
// has it, follows it when it changes, and holds the database until it is gone.
func TestRoadLinks(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.write("environments/dev.yaml", "name: dev\ntitle: Development\nimplementation: local\npool: local\nregion: here\nsettings: {sites_directory: "+r.path("sites")+"}\n")
	r.sidecar.stop()
	r.sidecar.start()
	r.untilReady()
	r.startWorker("w1")
	owner := r.as(ann)
	database := r.submit(r.submission("dev"))
	r.untilState(database.Id, provision.Succeeded)
	upstream, err := owner.Instance(t.Context(), *database.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, _ := upstream.Instance.Outputs["endpoint"].(string)
	site := r.submit(api.Submission{Offering: "static-site", Parameters: provision.Parameters{
		"site_name": "status-" + r.mark, "environment": "dev", "title": "Status", "team_owner": "payments", "cost_center": "CC-1234", "database": database.Name,
	}})
	r.untilState(site.Id, provision.Succeeded)
	page := func() string {
		made, err := owner.Instance(t.Context(), *site.InstanceId)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(made.Instance.Outputs["path"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if !strings.Contains(page(), "<code>"+endpoint+"</code>") {
		t.Fatalf("the page does not name %s:\n%s", endpoint, page())
	}
	if drift := r.checked(*site.InstanceId); drift.HasDrift {
		t.Errorf("right after it was made there is drift: %+v", drift.Titles)
	}

	if _, err := r.pool.Exec(t.Context(), `UPDATE instances SET outputs = outputs || '{"endpoint": "moved.example"}' WHERE id = $1`, *database.InstanceId); err != nil {
		t.Fatal(err)
	}
	drift := r.checked(*site.InstanceId)
	want := "content of local_file.index follows endpoint of " + database.EntityRef + ", which has changed"
	if !drift.HasDrift || (*drift.Titles)[0] != want {
		t.Fatalf("once the endpoint has changed: %+v, want %q", drift.Titles, want)
	}
	revert, err := owner.RevertDrift(t.Context(), uuid.NewString(), *site.InstanceId, "")
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(revert.Id, provision.Succeeded)
	if !strings.Contains(page(), "<code>moved.example</code>") {
		t.Errorf("reverted, the page does not name the endpoint that there is:\n%s", page())
	}

	_, err = owner.Destroy(t.Context(), uuid.NewString(), *database.InstanceId)
	if provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), site.EntityRef+" takes its endpoint as database") {
		t.Errorf("the end of the database: %v, want a denial that names the page", err)
	}
	for _, instance := range []uuid.UUID{*site.InstanceId, *database.InstanceId} {
		destroy, err := owner.Destroy(t.Context(), uuid.NewString(), instance)
		if err != nil {
			t.Fatal(err)
		}
		r.untilState(destroy.Id, provision.Succeeded)
	}
	r.audit()
	r.wantPublished()
}
