package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestKeysRotateWithoutLosingAnything makes a database, gives the sidecar and the
// pool new keys one after the other, seals everything anew, throws the older keys
// away, and then opens its credentials and changes it.
func TestKeysRotateWithoutLosingAnything(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	worker := r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	before, err := r.as(ann).Credentials(t.Context(), *request.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	roadbed := func(args ...string) {
		t.Helper()
		var out, problems bytes.Buffer
		if code := run(t.Context(), args, &out, &problems); code != exitOK {
			t.Fatalf("roadbed %v: %d, %s", args, code, problems.String())
		}
	}
	same := func(when string) {
		t.Helper()
		got, err := r.as(ann).Credentials(t.Context(), *request.InstanceId)
		if err != nil || got["password"] != before["password"] {
			t.Errorf("%s the credentials are not what they were (%v)", when, err)
		}
	}
	for _, holder := range []string{"sidecar", "local"} {
		roadbed("keys", "rotate", "--dir", r.path("keys"), "--holder", holder)
	}
	r.restartWith(worker)
	same("with new keys beside the older ones")
	roadbed("keys", "rewrap", "--database", r.database, "--keys-dir", r.path("keys"), "--environments", r.path("environments"))
	for _, holder := range []string{"sidecar", "local"} {
		roadbed("keys", "retire", "--dir", r.path("keys"), "--holder", holder)
	}
	r.restartWith(worker)
	same("with the new keys alone")
	update, err := r.as(ann).Update(t.Context(), "larger", *request.InstanceId, provision.Parameters{"storage_gb": 120})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	same("after a change")
}

// TestARewrapThatIsKilledIsTakenUpAgain kills the sealing anew while some of it
// is done: everything still opens, no key that is needed is dropped, and it is
// done when it is run again.
func TestARewrapThatIsKilledIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	worker := r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	before, err := r.as(ann).Credentials(t.Context(), *request.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	roadbed := func(args ...string) (code int, said string) {
		t.Helper()
		var out bytes.Buffer
		code = run(t.Context(), args, &out, &out)
		return code, out.String()
	}
	rewrap := []string{"keys", "rewrap", "--database", r.database, "--keys-dir", r.path("keys"), "--environments", r.path("environments")}
	retire := func(holder string) (int, string) {
		return roadbed("keys", "retire", "--dir", r.path("keys"), "--holder", holder, "--database", r.database, "--environments", r.path("environments"))
	}
	for _, holder := range []string{"sidecar", "local"} {
		if code, said := roadbed("keys", "rotate", "--dir", r.path("keys"), "--holder", holder); code != exitOK {
			t.Fatal(said)
		}
	}

	conn, err := pgx.Connect(t.Context(), r.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var states int
	if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM states`).Scan(&states); err != nil || states < 2 {
		t.Fatalf("%d states, %v; want one to be done and one to be killed at", states, err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT id FROM states ORDER BY id DESC LIMIT 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	killed := &process{t: t, log: r.path("rewrap.log"), args: rewrap}
	killed.start()
	t.Cleanup(killed.kill)
	testkit.Eventually(t, time.Minute, "it waits for the last state", func() bool {
		waiting := 0
		err := r.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE states%'`).Scan(&waiting)
		return err == nil && waiting > 0
	})
	killed.kill()
	// Else the server, which does not know yet that it is gone, would do what it asked for.
	if _, err := r.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE states%'`); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, "the server forgets it", func() bool {
		waiting := 1
		err := r.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE states%' AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == 0
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}

	for _, holder := range []string{"sidecar", "local"} {
		if code, said := retire(holder); code == exitOK || !strings.Contains(said, "run roadbed keys rewrap to its end first") {
			t.Errorf("half sealed anew, the older keys of %s were retired: %d %s", holder, code, said)
		}
	}
	same := func(when string) {
		t.Helper()
		if got, err := r.as(ann).Credentials(t.Context(), *request.InstanceId); err != nil || got["password"] != before["password"] {
			t.Errorf("%s the credentials are not what they were (%v)", when, err)
		}
	}
	r.restartWith(worker)
	same("half sealed anew")
	if code, said := roadbed(rewrap...); code != exitOK {
		t.Fatal(said)
	}
	for _, holder := range []string{"sidecar", "local"} {
		if code, said := retire(holder); code != exitOK || !strings.Contains(said, "1 older keys") {
			t.Errorf("retire the older keys of %s: %d %s", holder, code, said)
		}
	}
	r.restartWith(worker)
	same("with the new keys alone")
}

// TestDoorPublishesKeysThatDoNotSign is a rotation of the key that Roadbed's own
// tokens are signed with: both are published, one signs.
func TestDoorPublishesKeysThatDoNotSign(t *testing.T) {
	t.Parallel()
	portal, dir := newPortal(t), t.TempDir()
	present, next := portal.trusted(t, "roadbed"), portal.trusted(t, "roadbed")
	writeFile(t, dir+"/present.pem", present)
	writeFile(t, dir+"/next.pem", next)
	sets := map[string][]byte{}
	for name, c := range map[string]sidecarConfig{
		"before": {SigningKey: dir + "/present.pem", Published: []string{dir + "/next.pem"}},
		"after":  {SigningKey: dir + "/next.pem", Published: []string{dir + "/present.pem"}},
	} {
		c.Backstage, c.Algorithms = portal.URL, []string{"ES256"}
		d, err := c.door(nil)
		if err != nil {
			t.Fatal(err)
		}
		sets[name] = d.keySet
	}
	kids := func(set []byte) []string {
		var found []string
		for _, part := range bytes.Split(set, []byte(`"kid":"`))[1:] {
			found = append(found, string(part[:bytes.IndexByte(part, '"')]))
		}
		return found
	}
	first, second := kids(sets["before"]), kids(sets["after"])
	if len(first) != 2 || first[0] != second[1] || first[1] != second[0] || slices.Equal(first, second) {
		t.Errorf("the key sets have %v and then %v; want both keys in each, the one that signs first", first, second)
	}
}

// restartWith restarts the sidecar and a worker, as who has been given other keys.
func (r *road) restartWith(worker *process) {
	r.t.Helper()
	worker.stop()
	r.sidecar.stop()
	r.sidecar.start()
	r.untilReady()
	worker.start()
}
