package main

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// connectionLimit is how many connections the server grants the database of a
// name; 0 when there is none.
func (r *road) connectionLimit(name string) int {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), parts.target.DSN("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var limit int
	err = conn.QueryRow(r.t.Context(), `SELECT COALESCE(max(datconnlimit), 0) FROM pg_database WHERE starts_with(datname, $1)`, strings.ReplaceAll(name, "-", "_")+"_").Scan(&limit)
	if err != nil {
		r.t.Fatal(err)
	}
	return limit
}

// TestRoadUpdate changes a database that is in use, and what is in it stays.
func TestRoadUpdate(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	owner := r.as(ann)
	submission := r.submission("dev")
	name, _ := submission.Parameters["database_name"].(string)
	made := r.submit(submission)
	r.untilState(made.Id, provision.Succeeded)
	credentials, err := owner.Credentials(t.Context(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, credentials, "username", "password")
	if got := r.connectionLimit(name); got != 50 {
		t.Fatalf("it is made for %d connections, want the 50 of its class", got)
	}

	given := provision.Parameters{"instance_class": "db.t3.small", "storage_gb": 120}
	preview, err := owner.EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{Parameters: given})
	if err != nil || len(preview.Changes) != 2 || !preview.Allowed {
		t.Fatalf("preview: %+v, %v", preview, err)
	}
	update, err := owner.Update(t.Context(), uuid.NewString(), *made.InstanceId, given)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	if got := r.connectionLimit(name); got != 25 {
		t.Errorf("it is changed to %d connections, want the 25 of the smaller class", got)
	}
	works(t, credentials, "monitor_username", "monitor_password") // reads what the owner has written
	after, err := owner.Instance(t.Context(), *made.InstanceId)
	if err != nil || after.Instance.State != provision.Ready || *after.Instance.MonthlyCost != *preview.CostAfter || after.Instance.Parameters["instance_class"] != "db.t3.small" {
		t.Errorf("the instance is %+v (%v), want it as asked at %s", after.Instance, err, preview.CostAfter)
	}
	r.wantMade(name, 1, 2)
	r.audit()
}
