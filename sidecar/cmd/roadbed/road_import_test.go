package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestRoadImport takes over a database that was made by hand: its rows stay, it
// is changed and destroyed as any other, and what nobody may take is left alone.
func TestRoadImport(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	owner := r.as(ann)
	legacy := "legacy_" + r.mark
	r.onTarget("CREATE ROLE " + legacy + "_app LOGIN PASSWORD 'theirs'")
	r.onTarget("CREATE DATABASE " + legacy + " OWNER " + legacy + "_app")
	r.alterIn(legacy, "CREATE TABLE kept AS SELECT 7 AS n -- %s", legacy)

	item := func(name, database, role string) api.ImportItem {
		submission := r.submission("dev")
		submission.Parameters["database_name"] = name + "-" + r.mark
		return api.ImportItem{Offering: submission.Offering, Parameters: submission.Parameters, Resources: []provision.Imported{
			{Address: "postgres_database.main", ID: database}, {Address: "postgres_role.owner", ID: role},
		}}
	}
	good, twisted, halved := item("legacy", legacy, legacy+"_app"), item("ghost", "nothing_"+r.mark, "${path.root}"), item("half", legacy, legacy+"_app")
	halved.Resources = []provision.Imported{{Address: "postgres_database.main", ID: legacy}, {Address: "postgres_role.monitor", ID: "x"}}
	halved.Parameters["storage_gb"] = 5

	looked, err := owner.Import(t.Context(), uuid.NewString(), api.ImportAsk{Items: []api.ImportItem{good, halved}, DryRun: true})
	if err != nil || looked[0].Verdict == nil || !looked[0].Verdict.Allowed || looked[0].Request != nil {
		t.Fatalf("looked at first: %+v, %v", looked, err)
	}
	if n := len(looked[1].Details); n != 3 || !strings.Contains(looked[1].Error, "postgres_role.owner is missing; its id is the name of the role that owns it") {
		t.Errorf("the half one has %d faults: %s; want its storage, a stranger and what is missing", n, looked[1].Error)
	}
	if r.number("SELECT count(*) FROM requests") != 0 {
		t.Error("looking has stored a request")
	}

	asked, err := owner.Import(t.Context(), "import-1", api.ImportAsk{Items: []api.ImportItem{good, twisted}})
	if err != nil || asked[0].Request == nil || asked[1].Request == nil {
		t.Fatalf("asked: %+v, %v", asked, err)
	}
	if again, err := owner.Import(t.Context(), "import-1", api.ImportAsk{Items: []api.ImportItem{good, twisted}}); err != nil || again[0].Request.Id != asked[0].Request.Id {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	made := *asked[0].Request
	r.untilState(made.Id, provision.Succeeded)
	r.untilState(asked[1].Request.Id, provision.Failed)
	if ghost, err := owner.Request(t.Context(), asked[1].Request.Id); err != nil || !strings.Contains(ghost.Error.Detail+ghost.Error.Message, "Cannot import non-existent remote object") {
		t.Errorf("what is not there: %+v, %v", ghost.Error, err)
	}
	done, err := owner.Request(t.Context(), made.Id)
	if err != nil || done.Outcome != provision.OutcomeWarn {
		t.Fatalf("imported with %s, %v; want a warning", done.Outcome, err)
	}
	said := ""
	for _, f := range done.Findings {
		said += f.Message + "\n"
	}
	for _, want := range []string{
		"Nobody can read the password that postgres_role.owner has, so it gets a new one.",
		"Importing postgres_database.main changes its allow_connect, comment, connection_limit.",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the plan's findings lack %q:\n%s", want, said)
		}
	}
	if got := r.rowsOf(legacy); got != 7 {
		t.Errorf("the database holds %d, want the 7 that was there", got)
	}
	id := *made.InstanceId
	if drift := r.checked(id); drift.HasDrift {
		t.Errorf("right after it was imported there is drift: %+v", *drift.Titles)
	}
	secrets, err := owner.Credentials(t.Context(), id)
	if err != nil || secrets["username"] != legacy+"_app" || secrets["password"] == "" || secrets["password"] == "theirs" {
		t.Errorf("credentials of %v, %v; want new ones of the role that was there", secrets["username"], err)
	}

	stolen, err := owner.Import(t.Context(), "import-2", api.ImportAsk{Items: []api.ImportItem{item("thief", legacy, legacy+"_app")}})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(stolen[0].Request.Id, provision.DeniedState)
	if denied, err := owner.Request(t.Context(), stolen[0].Request.Id); err != nil || !strings.Contains(denied.Error.Message, "postgres_database.main belongs to another instance") {
		t.Errorf("what another has: %+v, %v", denied.Error, err)
	}

	update, err := owner.Update(t.Context(), uuid.NewString(), id, provision.Parameters{"custom_parameters": map[string]any{"work_mem": "64MB"}})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	if got := r.rowsOf(legacy); got != 7 {
		t.Errorf("changed, the database holds %d", got)
	}
	destroy, err := owner.Destroy(t.Context(), uuid.NewString(), id)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(destroy.Id, provision.Succeeded)
	if r.existsOnTarget("SELECT count(*) FROM pg_database WHERE datname = $1", legacy) || r.existsOnTarget("SELECT count(*) FROM pg_roles WHERE rolname = $1", legacy+"_app") {
		t.Error("destroyed, it is there still")
	}
	r.audit()
	r.wantPublished()
}

// rowsOf is the number in the table "kept" of a database.
func (r *road) rowsOf(database string) (n int) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), parts.target.DSN(database))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	if err := conn.QueryRow(r.t.Context(), "SELECT n FROM kept").Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// existsOnTarget reports whether a count on the server where databases are made
// is above zero.
func (r *road) existsOnTarget(sql, name string) bool {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), parts.target.DSN("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	var n int
	if err := conn.QueryRow(r.t.Context(), sql, name).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n > 0
}
