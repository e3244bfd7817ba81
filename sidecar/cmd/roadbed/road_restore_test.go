package main

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestRestoredToBeforeTheWorld puts the database back to a point from which the
// world has moved on, as docs/runbook.md says: one database was changed since,
// one made, one destroyed, and one that was asked for was made. Nothing is made
// twice, nothing is destroyed, and everything is told that nobody remembers.
func TestRestoredToBeforeTheWorld(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	owner := r.as(ann)
	worker := r.startWorker("w1")
	made := func() (api.Submission, api.Request) {
		s := r.submission("dev")
		request := r.submit(s)
		r.untilState(request.Id, provision.Succeeded)
		return s, request
	}
	_, changed := made()
	_, destroyed := made()
	worker.stop()
	r.workers = nil
	asked := r.submission("dev")
	waiting := r.submit(asked)

	backup := r.path("backup")
	tool(t, "pg_dump", "--format=custom", "--file="+backup, r.database)

	worker.start()
	r.untilState(waiting.Id, provision.Succeeded)
	update, err := owner.Update(t.Context(), uuid.NewString(), *changed.InstanceId, provision.Parameters{"storage_gb": 120, "instance_class": "db.t3.small"})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	ended, err := owner.Destroy(t.Context(), uuid.NewString(), *destroyed.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(ended.Id, provision.Succeeded)
	unknown, since := made()
	r.until("every event is published", func() bool { return r.number("SELECT count(*) FROM outbox") == 0 })
	applies := r.commands("apply")

	worker.stop()
	r.sidecar.stop()
	r.database = testkit.EmptyDatabase(t)
	tool(t, "pg_restore", "--no-owner", "--dbname="+r.database, backup)
	r.sidecar.args[slices.Index(r.sidecar.args, "--database")+1] = r.database
	r.pool.Close()
	if r.pool, err = pgxpool.New(t.Context(), r.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.pool.Close)
	r.sidecar.start()
	r.untilReady()
	worker.start()

	r.until("it has paused itself", func() bool {
		return r.number("SELECT count(*) FROM pauses WHERE kind = 'everything' AND begun_by = $1 AND ended_at IS NULL", restoreSubject) == 1
	})
	told := r.forgotten(t)
	for _, want := range []string{
		"instance " + unknown.Parameters["database_name"].(string) + ".postgres-database in dev (" + since.InstanceId.String() + "): known up to event 0; ",
		"request " + waiting.Id.String() + ": known up to event ",
		"request " + update.Id.String() + ": known up to event 0; ",
		"instance.destroyed",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("what is forgotten does not say %q:\n%s", want, told)
		}
	}
	r.until("what was asked for before says what it waits for", func() bool {
		_, why := r.row(waiting.Id)
		return strings.Contains(why, "paused by ")
	})
	r.sidecar.kill() // a restart before anyone has looked changes nothing
	r.sidecar.start()
	r.untilReady()
	if n := r.commands("apply"); n != applies {
		t.Errorf("Terraform was told to apply %d times after the restore", n-applies)
	}

	// A person has read the list: what was made since is not asked for again.
	if _, err := owner.Cancel(t.Context(), waiting.Id, "made before the restore"); err != nil {
		t.Fatal(err)
	}
	pauses, err := r.as(pat).Pauses(t.Context())
	if err != nil || len(pauses) != 1 {
		t.Fatalf("%d pauses (%v), want the one of the restore", len(pauses), err)
	}
	if err := r.as(pat).EndPause(t.Context(), pauses[0].ID); err != nil {
		t.Fatal(err)
	}
	r.sidecar.stop()
	r.sidecar.start() // the word to resume holds
	r.untilReady()

	if drift := r.checked(*changed.InstanceId); !drift.HasDrift || drift.Adoption == nil || !drift.Adoption.Possible {
		t.Fatalf("what was changed since is %+v, want a drift that can be adopted", drift)
	}
	adopt, err := owner.AdoptDrift(t.Context(), uuid.NewString(), *changed.InstanceId, "")
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(adopt.Id, provision.Succeeded)
	if got := r.limitOf(r.databaseOf(*changed.InstanceId)); got != 25 {
		t.Errorf("what was changed since has %d connections, want its 25 kept", got)
	}
	if drift := r.checked(*destroyed.InstanceId); !drift.HasDrift {
		t.Errorf("what was destroyed since has not drifted: %+v", drift)
	}
	gone, err := owner.Destroy(t.Context(), uuid.NewString(), *destroyed.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(gone.Id, provision.Succeeded)
	for _, s := range []api.Submission{unknown, asked} {
		r.wantMade(s.Parameters["database_name"], 1, 2) // nobody has touched them
	}
	if n := r.number("SELECT count(*) FROM pauses WHERE ended_at IS NULL"); n != 0 {
		t.Errorf("%d pauses are in force after the last start, want none", n)
	}
}

// TestDatabaseThatRemembersEverythingIsNotPaused is the usual restart.
func TestDatabaseThatRemembersEverythingIsNotPaused(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	first := r.submit(r.submission("dev"))
	r.untilState(first.Id, provision.Succeeded)
	r.until("every event is published", func() bool { return r.number("SELECT count(*) FROM outbox") == 0 })
	r.sidecar.kill()
	r.sidecar.start()
	r.untilReady()
	second := r.submit(r.submission("dev"))
	r.untilState(second.Id, provision.Succeeded)
	if n := r.number("SELECT count(*) FROM pauses"); n != 0 {
		t.Errorf("%d pauses were begun", n)
	}
	if said := r.forgotten(t); said != "The database has every event that was published.\n" {
		t.Errorf("what is forgotten is told as %q", said)
	}
	r.audit()
}

// forgotten is what `roadbed events forgotten` says.
func (r *road) forgotten(t *testing.T) string {
	t.Helper()
	command := exec.Command(parts.program, "events", "forgotten", "--database", r.database, "--nats", r.nats.SidecarURL())
	var said, complaint bytes.Buffer
	command.Stdout, command.Stderr = &said, &complaint
	err := command.Run()
	var code *exec.ExitError
	if err != nil && (!errors.As(err, &code) || code.ExitCode() != exitFailed || complaint.Len() > 0) {
		t.Fatalf("roadbed events forgotten: %v %s", err, complaint.String())
	}
	if (err == nil) != strings.HasPrefix(said.String(), "The database has every event") {
		t.Errorf("its exit code is %v for:\n%s", err, said.String())
	}
	return said.String()
}

// tool runs one of PostgreSQL's own programs.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
