package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	templates "roadbed.dev/roadbed/backstage-templates"
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

// TestDriftIsFoundByItself has nobody ask: the schedule does, also after a
// restart, and says the same thing once.
func TestDriftIsFoundByItself(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{drift: time.Second})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	id := *request.InstanceId
	r.sidecar.kill()
	r.sidecar.start() // what has become ready is looked for at once
	r.untilReady()
	look := func() api.DriftAnswer {
		drift, err := r.as(ann).Drift(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return drift
	}
	r.until("it is checked", func() bool { return look().Check.CheckedAt != nil })
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 7", r.databaseOf(id))
	r.until("its drift is found", func() bool { return look().HasDrift })
	first := *look().LastSeen
	r.until("it is found again and again", func() bool { return look().LastSeen.Sub(first) > 3*time.Second })
	if got := r.driftStory(id); got != "detected" {
		t.Errorf("was told: %s", got)
	}
	if asked := look().Check.AskedBy; asked != provision.DriftSubject {
		t.Errorf("the next check is wanted by %q, want %q", asked, provision.DriftSubject)
	}
	r.audit()
}

// TestDriftIsRevertedAndAdopted puts right what was changed behind Terraform's
// back, in both directions.
func TestDriftIsRevertedAndAdopted(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	id, owner := *request.InstanceId, r.as(ann)
	database := r.databaseOf(id)

	if _, err := owner.RevertDrift(t.Context(), uuid.NewString(), id, ""); provision.KindOf(err) != provision.Conflict {
		t.Errorf("what has not drifted is reverted: %v, want a conflict", err)
	}
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 7", database)
	r.alter("ALTER ROLE %s CONNECTION LIMIT 9", database+"_monitor")
	drift := r.checked(id)
	if drift.Adoption == nil || drift.Adoption.Possible || !strings.Contains(drift.Adoption.Summary, "connection_limit of postgres_role.monitor is 9: no parameter alone sets that") {
		t.Errorf("what no parameter sets could be adopted: %+v", drift.Adoption)
	}
	if _, err := owner.AdoptDrift(t.Context(), uuid.NewString(), id, ""); provision.KindOf(err) != provision.Conflict {
		t.Errorf("what no parameter sets is adopted: %v, want a conflict", err)
	}
	if _, err := owner.RevertDrift(t.Context(), uuid.NewString(), id, "another"); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a drift that has become another is reverted: %v, want a conflict", err)
	}
	if _, err := r.as(ben).RevertDrift(t.Context(), uuid.NewString(), id, ""); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team reverts it: %v, want a denial", err)
	}
	key := uuid.NewString()
	revert, err := owner.RevertDrift(t.Context(), key, id, *drift.Cause)
	if err != nil {
		t.Fatalf("revert: %v", err)
	}
	if again, err := owner.RevertDrift(t.Context(), key, id, *drift.Cause); err != nil || again.Id != revert.Id {
		t.Errorf("asked again with its key it is %s (%v)", again.Id, err)
	}
	r.untilState(revert.Id, provision.Succeeded)
	if got := r.limitOf(database); got != 50 {
		t.Errorf("after the revert the connection limit is %d, want what was asked for", got)
	}
	r.untilNoDrift(id)

	r.alter("ALTER DATABASE %s CONNECTION LIMIT 60", database)
	r.alter("ALTER DATABASE %s SET work_mem = '8MB'", database)
	drift = r.checked(id)
	if drift.Adoption == nil || !drift.Adoption.Possible || *drift.Adoption.CostDifference != 0 ||
		drift.Adoption.Summary != "max_connections not set → 60 and work_mem not set → 8MB: $85.50 a month as before; it can be adopted" {
		t.Fatalf("the adoption is %+v", drift.Adoption)
	}
	adopt, err := owner.AdoptDrift(t.Context(), uuid.NewString(), id, *drift.Cause)
	if err != nil {
		t.Fatalf("adopt: %v", err)
	}
	r.untilState(adopt.Id, provision.Succeeded)
	r.untilNoDrift(id)
	answer, err := owner.Instance(t.Context(), id)
	if settings := fmt.Sprint(answer.Instance.Parameters["custom_parameters"]); err != nil || settings != "map[max_connections:60 work_mem:8MB]" {
		t.Errorf("after adopting it asks for %s (%v)", settings, err)
	}
	if got := r.limitOf(database); got != 60 {
		t.Errorf("after adopting the connection limit is %d, want what was there", got)
	}
	if drift := r.checked(id); drift.HasDrift {
		t.Errorf("what was adopted still differs: %+v", drift)
	}
	if got := r.driftStory(id); got != "detected resolved detected resolved" {
		t.Errorf("was told: %s", got)
	}

	r.alter("DROP OWNED BY %s", database+"_monitor")
	r.alterIn(database, "DROP OWNED BY %s", database+"_monitor")
	r.alter("DROP ROLE %s", database+"_monitor")
	drift = r.checked(id)
	if !drift.HasDrift || (*drift.Titles)[0] != "postgres_role.monitor is gone" {
		t.Fatalf("a role that was dropped is %+v", drift)
	}
	if revert, err = owner.RevertDrift(t.Context(), uuid.NewString(), id, ""); err != nil {
		t.Fatalf("revert: %v", err)
	}
	r.untilState(revert.Id, provision.Succeeded)
	r.untilNoDrift(id)
	r.wantMade(answer.Instance.Name, 1, 2)
	r.audit()
	r.wantPublished()
}

// TestDriftIsPricedAndJudged has a parameter passed on to the server as it is.
func TestDriftIsPricedAndJudged(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{approvals: true, offerings: func(dir string) {
		shipped, err := fs.Sub(templates.FS, "postgres-database")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, "postgres-database"), shipped); err != nil {
			t.Fatal(err)
		}
		main := filepath.Join(dir, "postgres-database/module/local/main.tf")
		text, err := os.ReadFile(main)
		if err != nil {
			t.Fatal(err)
		}
		// What the disk of a real one is: the plainest way from a parameter to what is made.
		plain := strings.Replace(string(text), "connection_limit = local.max_connections", "connection_limit = var.storage_gb", 1)
		contract, err := os.ReadFile(filepath.Join(dir, "postgres-database/offering.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, main, strings.Replace(plain, "    storage_gb            = var.storage_gb\n", "", 1))
		writeFile(t, filepath.Join(dir, "postgres-database/offering.yaml"),
			strings.Replace(string(contract), "    postgres_database.connection_limit: custom_parameters.max_connections\n", "", 1))
	}})
	r.startWorker("w1")
	small, submission := r.submit(r.submission("dev")), r.submission("staging")
	submission.Parameters["instance_class"] = "db.r6g.xlarge"
	request := r.submit(submission)
	r.untilState(small.Id, provision.Succeeded)
	r.untilState(request.Id, provision.Succeeded)
	id, owner := *request.InstanceId, r.as(ann)
	database := r.databaseOf(id)
	if limit := r.limitOf(database); limit != 100 {
		t.Fatalf("the connection limit is %d, want the storage", limit)
	}
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 160", database)
	drift := r.checked(id)
	if drift.Adoption == nil || !strings.HasPrefix(drift.Adoption.Summary, "storage 100 → 160 GB: +$15.30 a month, now $290.80; it can be adopted") {
		t.Errorf("storage that was raised is %+v", drift.Adoption)
	}
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 160", r.databaseOf(*small.InstanceId))
	over := r.checked(*small.InstanceId)
	if want := "storage 100 → 160 GB: +$15.30 a month, now $100.80; it cannot be adopted: "; over.Adoption == nil || !strings.HasPrefix(over.Adoption.Summary, want) {
		t.Errorf("storage that was raised above dev's limit is %+v, want %q", over.Adoption, want)
	}
	if _, err := owner.AdoptDrift(t.Context(), uuid.NewString(), *small.InstanceId, ""); provision.KindOf(err) != provision.Denied {
		t.Errorf("it is adopted with %v, want a denial", err)
	}
	groups, err := owner.DriftGroups(t.Context(), false)
	if err != nil || len(groups) != 1 || len(groups[0].Instances) != 2 || groups[0].MonthlyDifference == nil || groups[0].MonthlyDifference.String() != "$30.60" {
		t.Errorf("the one cause of both is listed as %+v (%v)", groups, err)
	}
	r.alter("ALTER DATABASE %s CONNECTION LIMIT 1000", database)
	drift = r.checked(id)
	if drift.Adoption == nil || drift.Adoption.Outcome == nil || *drift.Adoption.Outcome != provision.OutcomeRequireApproval ||
		!strings.Contains(drift.Adoption.Summary, "storage 100 → 1000 GB: +$229.50 a month, now $505.00; approval is needed to adopt it") {
		t.Fatalf("storage that was raised above the limit is %+v", drift.Adoption)
	}
	adopt, err := owner.AdoptDrift(t.Context(), uuid.NewString(), id, *drift.Cause)
	if err != nil {
		t.Fatalf("adopt: %v", err)
	}
	r.untilState(adopt.Id, provision.AwaitingApproval)
	if _, err := r.as(pat).Approve(t.Context(), adopt.Id, "it is needed"); err != nil {
		t.Fatalf("approve: %v", err)
	}
	r.untilState(adopt.Id, provision.Succeeded)
	r.untilNoDrift(id)
	answer, err := owner.Instance(t.Context(), id)
	if err != nil || fmt.Sprint(answer.Instance.Parameters["storage_gb"]) != "1000" || answer.Instance.MonthlyCost.String() != "$505.00" {
		t.Errorf("after adopting it asks for %v at %v (%v)", answer.Instance.Parameters["storage_gb"], answer.Instance.MonthlyCost, err)
	}
	r.audit()
}

// untilNoDrift waits for the check that follows a request by itself.
func (r *road) untilNoDrift(id uuid.UUID) {
	r.t.Helper()
	r.until("it is as it was asked for", func() bool {
		drift, err := r.as(ann).Drift(r.t.Context(), id)
		return err == nil && !drift.HasDrift
	})
}

// limitOf is a database's connection limit.
func (r *road) limitOf(database string) (limit int) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), parts.target.DSN("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(r.t.Context()))
	if err := conn.QueryRow(r.t.Context(), "SELECT datconnlimit FROM pg_database WHERE datname = $1", database).Scan(&limit); err != nil {
		r.t.Fatal(err)
	}
	return limit
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
	r.alterIn("postgres", sql, name)
}

func (r *road) alterIn(database, sql, name string) {
	r.t.Helper()
	if err := execute(r.t.Context(), parts.target.DSN(database), fmt.Sprintf(sql, `"`+name+`"`)); err != nil {
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
