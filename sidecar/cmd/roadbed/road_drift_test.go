package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestDriftIsFoundExplainedAndToldOnce changes a database behind Terraform's
// back.
func TestDriftIsFoundExplainedAndToldOnce(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	id := *request.InstanceId

	for range 3 {
		if drift := r.checked(id); drift.HasDrift || drift.Check.Failure != "" {
			t.Fatalf("right after it was made there is drift: %+v", drift)
		}
	}
	database := r.databaseOf(id)
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 7", database)
	r.alter("ALTER ROLE %s CONNECTION LIMIT 9", database+"_monitor")
	drift := r.checked(id)
	if !drift.HasDrift || drift.Differences == nil || len(*drift.Differences) != 2 {
		t.Fatalf("two changes behind Terraform's back are %+v", drift)
	}
	for i, want := range []string{"connection_limit of postgres_database.main is 7", "connection_limit of postgres_role.monitor is 9"} {
		if got := (*drift.Titles)[i]; got != want {
			t.Errorf("difference %d is told as %q, want %q", i, got, want)
		}
	}
	if again := r.checked(id); *again.Cause != *drift.Cause || !again.DetectedAt.Equal(*drift.DetectedAt) {
		t.Errorf("the same drift is %+v at the next check", again)
	}
	if got := r.driftStory(id); got != "detected" {
		t.Errorf("after two checks of one drift was told: %s", got)
	}
	if feed, err := r.with(r.portal.plugin(t, "catalog", "")).Entities(t.Context()); err != nil || annotationOf(feed, id, "roadbed.dev/drift") != *drift.Cause {
		t.Errorf("the entity is annotated %q (%v)", annotationOf(feed, id, "roadbed.dev/drift"), err)
	}

	if _, err := r.as(ben).CheckDrift(t.Context(), id); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team has it checked: %v, want a denial", err)
	}
	if _, err := r.as(ben).Drift(t.Context(), id); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team reads the drift: %v, want a denial", err)
	}
	if groups, err := r.as(ben).DriftGroups(t.Context(), true); err != nil || len(groups) != 0 {
		t.Errorf("another team sees %d causes (%v)", len(groups), err)
	}

	suppressed, err := r.as(ann).SuppressDrift(t.Context(), id, api.DriftSuppression{Until: time.Now().Add(time.Hour), Reason: "for the load test"})
	if err != nil || suppressed.Suppressed == nil || suppressed.Suppressed.By != ann {
		t.Fatalf("suppress: %v, %+v", err, suppressed)
	}
	if groups, err := r.as(ann).DriftGroups(t.Context(), false); err != nil || len(groups) != 0 {
		t.Errorf("%d causes are listed while suppressed (%v)", len(groups), err)
	}
	if groups, err := r.as(ann).DriftGroups(t.Context(), true); err != nil || len(groups) != 2 || groups[0].Instances[0].Suppressed == nil {
		t.Errorf("suppressed causes: %+v (%v)", groups, err)
	}
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 8", database) // another cause is told all the same
	r.checked(id)
	if got := r.driftStory(id); got != "detected suppressed detected" {
		t.Errorf("after another cause was told: %s", got)
	}

	r.alter("ALTER DATABASE %s CONNECTION LIMIT 50", database)
	r.alter("ALTER ROLE %s CONNECTION LIMIT 5", database+"_monitor")
	if drift := r.checked(id); drift.HasDrift {
		t.Errorf("put right by hand, it still differs: %+v", drift)
	}
	if got := r.driftStory(id); got != "detected suppressed detected resolved" {
		t.Errorf("in the end was told: %s", got)
	}
	if n := r.number("SELECT count(*) FROM states"); n != r.number("SELECT count(*) FROM states WHERE run_id IN (SELECT id FROM runs)") || r.number("SELECT max(fence) FROM instances") != 1 {
		t.Error("a check has pushed state or raised the token")
	}
	if left := r.runDirectories("w1"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	r.audit()
	r.wantPublished()
}

// checked has an instance checked and waits for what was found.
func (r *road) checked(id uuid.UUID) api.DriftAnswer {
	r.t.Helper()
	asked, err := r.as(ann).CheckDrift(r.t.Context(), id)
	if err != nil {
		r.t.Fatalf("ask for a check: %v", err)
	}
	var found api.DriftAnswer
	r.until("the check is made", func() bool {
		found, err = r.as(ann).Drift(r.t.Context(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		if found.Check.Failure != "" {
			r.t.Fatalf("the check failed: %s", found.Check.Failure)
		}
		at := found.Check.CheckedAt
		return at != nil && (asked.Check.CheckedAt == nil || at.After(*asked.Check.CheckedAt))
	})
	return found
}

// databaseOf is the name of an instance's database.
func (r *road) databaseOf(id uuid.UUID) string {
	r.t.Helper()
	answer, err := r.as(ann).Instance(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.ReplaceAll(answer.Instance.Name, "-", "_") + "_" + answer.Instance.ShortId
}

// alter changes the server where databases are made, behind Terraform's back.
func (r *road) alter(sql, name string) {
	r.t.Helper()
	if err := execute(r.t.Context(), parts.target.DSN("postgres"), fmt.Sprintf(sql, `"`+name+`"`)); err != nil {
		r.t.Fatal(err)
	}
}

// driftStory is what was told of an instance's drift.
func (r *road) driftStory(id uuid.UUID) string {
	r.t.Helper()
	var verbs []string
	for _, e := range r.events()[id] {
		if e.Entity == "drift" {
			verbs = append(verbs, e.Verb)
		}
	}
	return strings.Join(verbs, " ")
}

func annotationOf(feed api.EntitySnapshot, id uuid.UUID, name string) string {
	for _, e := range feed.Entities {
		if e.Metadata.Annotations["roadbed.dev/instance"] == id.String() {
			return e.Metadata.Annotations[name]
		}
	}
	return "no entity"
}
