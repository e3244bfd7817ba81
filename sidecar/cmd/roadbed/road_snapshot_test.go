package main

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestRoadFinalSnapshot destroys a database of an environment that keeps last
// snapshots, and brings back what it held.
func TestRoadFinalSnapshot(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.sidecar.stop()
	r.write("environments/dev.yaml", "name: dev\ntitle: Development\nimplementation: local\npool: local\nregion: here\nsettings: {snapshots_directory: "+r.path("snapshots")+"}\n")
	r.sidecar.start()
	r.untilReady()
	r.startWorker("w1")
	owner := r.as(ann)
	made := r.submit(r.submission("dev"))
	r.untilState(made.Id, provision.Succeeded)
	database := r.databaseOf(*made.InstanceId)
	if err := execute(t.Context(), parts.target.DSN(database), "CREATE TABLE orders AS SELECT generate_series(1, 7) AS id"); err != nil {
		t.Fatal(err)
	}
	if drift := r.checked(*made.InstanceId); drift.HasDrift {
		t.Errorf("right after it was made there is drift: %+v", drift)
	}
	gone, err := owner.Destroy(t.Context(), uuid.NewString(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(gone.Id, provision.Succeeded)
	r.wantMade(made.Name, 0, 0)
	dump := filepath.Join(r.path("snapshots"), database+".dump")
	if i, err := owner.Instance(t.Context(), *made.InstanceId); err != nil || i.Instance.Outputs["last_snapshot"] != dump {
		t.Errorf("what is destroyed says that its last snapshot is %v (%v), want %s", i.Instance.Outputs["last_snapshot"], err, dump)
	}

	again := "again_" + r.mark
	r.onTarget("CREATE DATABASE " + again)
	tool(t, "pg_restore", "--no-owner", "--no-acl", "--dbname="+parts.target.DSN(again), dump)
	if err := execute(t.Context(), parts.target.DSN(again), "DO $$ BEGIN ASSERT (SELECT sum(id) FROM orders) = 28; END $$"); err != nil {
		t.Errorf("what is back is not what it held: %v", err)
	}
	r.onTarget("DROP DATABASE " + again)
	r.audit()
}
