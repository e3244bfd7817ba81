package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestADatabaseThatNobodyConnectsToIsNamedAndAConnectionMakesItUsed measures two
// real databases, of which one is connected to. What was measured is made a month
// older in between.
func TestADatabaseThatNobodyConnectsToIsNamedAndAConnectionMakesItUsed(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	var used, idle uuid.UUID
	for _, id := range []*uuid.UUID{&used, &idle} {
		request := r.submit(r.submission("dev"))
		r.untilState(request.Id, provision.Succeeded)
		*id = *request.InstanceId
	}
	if got := r.measured(idle); got.State != "measuring" {
		t.Fatalf("at its first measure it is %+v", got)
	}
	r.measured(used)
	r.measured(idle) // the first check's own doings are not its use
	for _, id := range []uuid.UUID{used, idle} {
		r.older(id, 31*24*time.Hour)
	}
	r.connect(t, used)
	if got := r.measured(used); got.State != "used" || got.UsedAt == nil {
		t.Errorf("the one that is connected to is %+v", got)
	}
	got := r.measured(idle)
	if got.State != "unused" || got.Reason == nil || *got.Reason != "no connections in 30 days" {
		t.Fatalf("the one that nobody connects to is %+v", got)
	}
	list, err := r.as(ann).Unused(t.Context(), false)
	if err != nil || list.Count != 1 || len(list.Items) != 1 || list.Items[0].Items[0].Id != idle || list.Items[0].Owner != "group:default/payments" ||
		list.MonthlySaving == 0 || list.MonthlySaving != list.Items[0].Items[0].MonthlyCost {
		t.Fatalf("unused are %+v (%v)", list, err)
	}
	r.until("the owner is told", func() bool { return r.unusedTold(idle, "found") == 1 })
	r.measured(idle)
	if n := r.unusedTold(idle, "found"); n != 1 {
		t.Errorf("of what stays unused the owner is told %d times", n)
	}

	later := api.UnusedAnswer{Until: time.Now().Add(24 * time.Hour)}
	if list, err := r.as(ben).Unused(t.Context(), true); err != nil || list.Count != 0 {
		t.Errorf("another team sees %+v (%v)", list, err)
	}
	if _, err := r.as(ben).AnswerUnused(t.Context(), idle, "snooze", later); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team answers: %v, want a denial", err)
	}
	if _, err := r.as(ann).AnswerUnused(t.Context(), idle, "needed", later); provision.KindOf(err) != provision.Invalid {
		t.Errorf("it is needed for no reason: %v, want invalid", err)
	}
	if _, err := r.as(ann).AnswerUnused(t.Context(), used, "snooze", later); provision.KindOf(err) != provision.Conflict {
		t.Errorf("an answer for what is used: %v, want a conflict", err)
	}
	reason := "the yearly report"
	later.Reason = &reason
	if got, err := r.as(ann).AnswerUnused(t.Context(), idle, "needed", later); err != nil || got.Answer == nil || got.Answer.By != ann {
		t.Errorf("it is needed: %+v (%v)", got, err)
	}
	if list, err := r.as(ann).Unused(t.Context(), false); err != nil || list.Count != 0 {
		t.Errorf("what is needed is listed: %+v (%v)", list, err)
	}
	if list, err := r.as(ann).Unused(t.Context(), true); err != nil || list.Count != 1 {
		t.Errorf("what is needed is not listed on demand: %+v (%v)", list, err)
	}

	r.connect(t, idle)
	if got := r.measured(idle); got.State != "used" || got.Answer != nil {
		t.Errorf("after a connection it is %+v", got)
	}
	if n := r.unusedTold(idle, "resolved"); n != 1 {
		t.Errorf("its use was told %d times", n)
	}
	r.audit()
	r.wantPublished()
}

// measured has an instance checked and answers what is known of its use then.
func (r *road) measured(id uuid.UUID) api.ActivityView {
	r.t.Helper()
	r.checked(id)
	view, err := r.as(ann).Activity(r.t.Context(), id)
	if err != nil || view.Failure != nil || view.MeasuredAt == nil {
		r.t.Fatalf("activity: %+v (%v)", view, err)
	}
	return view
}

// connect makes use of an instance with its own credentials.
func (r *road) connect(t *testing.T, id uuid.UUID) {
	t.Helper()
	credentials, err := r.as(ann).Credentials(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	works(t, credentials, "username", "password")
}

// older makes what was measured of an instance older by age.
func (r *road) older(id uuid.UUID, age time.Duration) {
	r.t.Helper()
	var kept []byte
	if err := r.pool.QueryRow(r.t.Context(), "SELECT activity FROM instance_activity WHERE instance_id = $1", id).Scan(&kept); err != nil {
		r.t.Fatal(err)
	}
	var a provision.Activity
	if err := json.Unmarshal(kept, &a); err != nil {
		r.t.Fatal(err)
	}
	a.Since, a.MeasuredAt, a.UsedAt = a.Since.Add(-age), a.MeasuredAt.Add(-age), a.UsedAt.Add(-age)
	for i := range a.Samples {
		a.Samples[i].Day = a.Samples[i].Day.Add(-age)
	}
	text, err := json.Marshal(a)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.pool.Exec(r.t.Context(), "UPDATE instance_activity SET activity = $2 WHERE instance_id = $1", id, text); err != nil {
		r.t.Fatal(err)
	}
}

// unusedTold counts what was told of an instance's being unused.
func (r *road) unusedTold(id uuid.UUID, verb string) int {
	return r.number("SELECT count(*) FROM events WHERE subject_id = $1 AND entity = 'unused' AND verb = $2", id, verb)
}
