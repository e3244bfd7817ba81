package main

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// later lets time pass for an instance, as the database sees it.
func (r *road) later(instance uuid.UUID, d time.Duration) {
	r.t.Helper()
	_, err := r.pool.Exec(r.t.Context(), `UPDATE instances SET created_at = created_at - $2::interval, expires_at = expires_at - $2::interval,
		expiry_warn_at = expiry_warn_at - $2::interval, expiry_destroy_at = expiry_destroy_at - $2::interval WHERE id = $1`, instance, d)
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *road) told(instance uuid.UUID, verb string) int {
	return r.number(`SELECT count(*) FROM events WHERE subject_id = $1 AND entity = 'instance' AND verb = $2`, instance, verb)
}

// TestRoadExpiry has a database warn of its end, live longer, and end by itself
// while the sidecar was killed in between. Its name can be used again.
func TestRoadExpiry(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	owner := r.as(ann)
	submission := r.submission("dev")
	submission.ExpiresIn = "24h"
	name := submission.Parameters["database_name"]
	made := r.submit(submission)
	r.untilState(made.Id, provision.Succeeded)
	id := *made.InstanceId
	before, err := owner.Instance(t.Context(), id)
	if err != nil || before.Instance.ExpiresAt == nil || before.Instance.Committed >= *before.Instance.MonthlyCost {
		t.Fatalf("made with an end it is %+v (%v), want an end and a budget's share of a day", before.Instance, err)
	}

	r.later(id, 20*time.Hour)
	r.until("its owner is told that it ends", func() bool { return r.told(id, "expiring") == 1 })
	longer, err := owner.Extend(t.Context(), uuid.NewString(), id, "24h")
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(longer.Id, provision.Succeeded)
	after, err := owner.Instance(t.Context(), id)
	if err != nil || after.Instance.ExpiresAt.Sub(before.Instance.ExpiresAt.Add(-20*time.Hour)) != 24*time.Hour || after.Instance.Committed <= before.Instance.Committed {
		t.Errorf("extended it ends %v at %s a month (%v), want a day later and dearer", after.Instance.ExpiresAt, after.Instance.Committed, err)
	}

	r.sidecar.kill()
	r.later(id, 30*time.Hour)
	r.sidecar.start()
	r.untilReady()
	r.until("it is asked to end", func() bool { return r.told(id, "expired") == 1 })
	r.until("it is gone", func() bool {
		return r.number(`SELECT count(*) FROM instances WHERE id = $1 AND state = 'destroyed'`, id) == 1
	})
	r.wantMade(name, 0, 0)
	if n := r.number(`SELECT count(*) FROM requests WHERE instance_id = $1 AND action = 'destroy' AND requested_by = 'system:expiry'`, id); n != 1 {
		t.Errorf("%d destroys by the system, want one", n)
	}
	again := r.submit(submission)
	r.untilState(again.Id, provision.Succeeded)
	r.audit()
}
