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

// TestRoadRetry fails half way through, on something that is in the way, and
// goes on from there once that is gone.
func TestRoadRetry(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	owner := r.as(ann)
	submission := r.submission("dev")
	name, _ := submission.Parameters["database_name"].(string)
	first := r.submit(submission)
	made, err := owner.Instance(t.Context(), *first.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	inTheWay := strings.ReplaceAll(name, "-", "_") + "_" + made.Instance.ShortId
	r.onTarget("CREATE DATABASE " + inTheWay)
	r.startWorker("w1")
	r.untilState(first.Id, provision.Failed)
	failed, err := owner.Request(t.Context(), first.Id)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"already exists", "Something of that name is there already", "retry to go on from there"} {
		if !strings.Contains(failed.Error.Detail+failed.Error.WayOut, want) {
			t.Errorf("it failed with %+v, want %q", failed.Error, want)
		}
	}
	if failed.Error.Message != "failed at step 3 of 5: Create database instance" {
		t.Errorf("it says %q", failed.Error.Message)
	}
	if d, roles := r.made(name); d != 1 || roles == 0 {
		t.Errorf("%d databases and %d roles are there, want what was in the way and what was made", d, roles)
	}
	r.onTarget("DROP DATABASE " + inTheWay)
	next, err := owner.Retry(t.Context(), "retry-1", first.Id)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := owner.Retry(t.Context(), "retry-1", first.Id); err != nil || again.Id != next.Id {
		t.Errorf("the same again: %s (%v), want %s", again.Id, err, next.Id)
	}
	r.untilState(next.Id, provision.Succeeded)
	r.wantMade(name, 1, 2)
	credentials, err := owner.Credentials(t.Context(), *first.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, credentials, "username", "password")
	r.audit()
}

// TestRoadCancelDuringApply interrupts a slow apply: what was made is in the
// state, and the instance can be gone on with, or destroyed.
func TestRoadCancelDuringApply(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(r *road, request api.Request) (api.Request, error){
		"resume": func(r *road, first api.Request) (api.Request, error) {
			return r.as(ann).Retry(r.t.Context(), uuid.NewString(), first.Id)
		},
		"destroy": func(r *road, first api.Request) (api.Request, error) {
			return r.as(ann).Destroy(r.t.Context(), uuid.NewString(), *first.InstanceId)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoad(t, options{delay: "6s"})
			r.startWorker("w1")
			submission := r.submission("dev")
			database, _ := submission.Parameters["database_name"].(string)
			first := r.submit(submission)
			r.untilMaking(first.Id)
			if _, err := r.as(ann).Cancel(t.Context(), first.Id, "wrong size"); err != nil {
				t.Fatal(err)
			}
			r.untilState(first.Id, provision.Cancelled)
			ended, err := r.as(ann).Request(t.Context(), first.Id)
			if err != nil || ended.Error.Message != "wrong size" || !strings.Contains(ended.Error.WayOut, "or destroy it") {
				t.Errorf("it ended with %+v (%v), want the reason and the ways on", ended.Error, err)
			}
			instance, err := r.as(ann).Instance(t.Context(), *first.InstanceId)
			if err != nil || instance.Instance.State != provision.Incomplete || *instance.Instance.ChangesAllowed != "" {
				t.Errorf("the instance is %s (%v), want incomplete and free to go on", instance.Instance.State, err)
			}
			if n := r.number("SELECT count(*) FROM states WHERE instance_id = $1 AND head", *first.InstanceId); n != 1 {
				t.Errorf("it has %d heads of state, want what was made kept", n)
			}
			if _, roles := r.made(database); roles == 0 {
				t.Error("nothing was made before the cancel: the test came too early")
			}
			next, err := finish(r, first)
			if err != nil {
				t.Fatal(err)
			}
			r.untilState(next.Id, provision.Succeeded)
			if name == "resume" {
				r.wantMade(database, 1, 2)
			} else {
				r.wantMade(database, 0, 0)
			}
			r.audit()
		})
	}
}

// onTarget does something on the server where databases are made.
func (r *road) onTarget(sql string) {
	r.t.Helper()
	if err := execute(r.t.Context(), parts.target.DSN("postgres"), sql); err != nil {
		r.t.Fatal(err)
	}
}
