package postgres_test

import (
	"context"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// oldest is the version of the schema that testdata/life_at_0021.sql is of.
const oldest = 21

// livingInstance was made and changed in that life.
var livingInstance = uuid.MustParse("01a223bc-2467-7c9d-a306-4e00a3bbedf3")

// TestUpgradeKeepsALife brings a database of an earlier schema up, with a life
// in it, and goes on with that life.
func TestUpgradeKeepsALife(t *testing.T) {
	t.Parallel()
	dsn := testkit.EmptyDatabase(t)
	if err := postgres.MigrateTo(t.Context(), dsn, oldest-1); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CheckSchema(t.Context(), dsn); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a schema that lacks migrations is %v, want a conflict", err)
	}
	if err := postgres.MigrateTo(t.Context(), dsn, oldest); err != nil {
		t.Fatal(err)
	}
	load(t, dsn)
	for range 2 { // it may be run again
		if err := postgres.Migrate(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
	}
	wantLife(t, dsn)
}

// TestRollback is that the program of the earlier schema works on this one:
// what it writes, which knows nothing of what was added, is taken and can be
// read and gone on with.
func TestRollback(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	load(t, dsn)
	wantLife(t, dsn)
}

// TestNewerSchemaIsNoObstacle is a rollback from a release that is yet to come.
func TestNewerSchemaIsNoObstacle(t *testing.T) {
	t.Parallel()
	dsn := testkit.EmptyDatabase(t)
	err := postgres.MigrateWith(t.Context(), dsn, with(t, "9001_colour.sql", `
		ALTER TABLE requests ADD COLUMN colour text NOT NULL DEFAULT 'blue';
		ALTER TABLE instances ADD COLUMN colour text;
		CREATE TABLE colours (name text PRIMARY KEY);`))
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.CheckSchema(t.Context(), dsn); err != nil {
		t.Fatalf("a newer schema is refused: %v", err)
	}
	if err := postgres.Migrate(t.Context(), dsn); err != nil {
		t.Fatalf("migrate a newer schema: %v", err)
	}
	store := openDSN(t, dsn)
	ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
}

// TestFailedMigrationChangesNothing breaks off in the middle of one.
func TestFailedMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	err := postgres.MigrateWith(t.Context(), dsn, with(t, "9001_broken.sql", `
		ALTER TABLE requests ADD COLUMN colour text;
		SELECT 1 / 0;`))
	if err == nil {
		t.Fatal("a broken migration has succeeded")
	}
	if n := count(t, dsn, `SELECT count(*) FROM information_schema.columns WHERE column_name = 'colour'`); n != 0 {
		t.Error("half a migration has stayed")
	}
	if err := postgres.CheckSchema(t.Context(), dsn); err != nil {
		t.Errorf("after a migration that failed: %v", err)
	}
	store := openDSN(t, dsn)
	ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
}

// narrows is what a migration must not do, so that the release before works on
// its schema: take away, rename, or ask for what an older program does not write.
var narrows = regexp.MustCompile(`(?i)\bDROP\s+(TABLE|COLUMN|FUNCTION|TYPE)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b|\bDROP\s+DEFAULT\b`)

var (
	comment  = regexp.MustCompile(`--[^\n]*`)
	addition = regexp.MustCompile(`(?is)\bADD\s+COLUMN\b[^,;]*`)
)

// TestMigrationsOnlyAdd holds those since the oldest that can be upgraded to
// what a rollback needs.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"ALTER TABLE a ADD COLUMN b text NOT NULL DEFAULT '';": "",
		"ALTER TABLE a ADD COLUMN b text NOT NULL;":            "ADD COLUMN b text NOT NULL",
		"ALTER TABLE a DROP COLUMN b;":                         "DROP COLUMN",
		"ALTER TABLE a RENAME b TO c;":                         "RENAME",
		"ALTER TABLE a ALTER COLUMN b TYPE bigint;":            "ALTER COLUMN b TYPE",
	} {
		if got := narrowing(sql); got != want {
			t.Errorf("%s narrows by %q, want %q", sql, got, want)
		}
	}
	names, err := fs.Glob(postgres.Migrations, "*.sql")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d migrations (%v)", len(names), err)
	}
	for _, name := range names {
		if name < "0022" {
			continue
		}
		text, err := fs.ReadFile(postgres.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		if bad := narrowing(string(text)); bad != "" {
			t.Errorf("%s does %q: the release before would not work on its schema. Add first, and take away a release later", name, bad)
		}
	}
}

// narrowing is what in a migration an older program would not survive; "" for none.
func narrowing(sql string) string {
	sql = comment.ReplaceAllString(sql, "")
	if bad := narrows.FindString(sql); bad != "" {
		return bad
	}
	for _, added := range addition.FindAllString(sql, -1) {
		upper := strings.ToUpper(added)
		if strings.Contains(upper, "NOT NULL") && !strings.Contains(upper, "DEFAULT") {
			return added
		}
	}
	return ""
}

// with are this program's migrations and another.
func with(t *testing.T, name, up string) fs.FS {
	t.Helper()
	all := fstest.MapFS{name: {Data: []byte("-- +goose Up\n" + up + "\n")}}
	names, err := fs.Glob(postgres.Migrations, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(postgres.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: text}
	}
	return all
}

// load writes the life that an earlier program has left behind.
func load(t *testing.T, dsn string) {
	t.Helper()
	text, err := os.ReadFile("testdata/life_at_0021.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	// The dump's tables come in no order that keys would allow.
	if _, err := conn.Exec(t.Context(), "SET session_replication_role = replica; "+string(text)); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, dsn, query string, args ...any) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantLife reads that life, and goes on with it: the request that waits is
// applied, and what lives is destroyed.
func wantLife(t *testing.T, dsn string) {
	t.Helper()
	store := openDSN(t, dsn)
	requests, err := store.Requests(t.Context(), provision.RequestFilter{Limit: 50})
	if err != nil || len(requests.Items) != 5 {
		t.Fatalf("%d requests (%v), want 5", len(requests.Items), err)
	}
	var waiting provision.Request
	for _, r := range requests.Items {
		if r.State == provision.Queued {
			waiting = r
		}
		events, err := store.EventsAfter(t.Context(), r.ID, 0, 1000)
		if err != nil || int64(len(events)) != r.Sequence {
			t.Errorf("request %s has %d events (%v), want its %d", r.ID, len(events), err, r.Sequence)
		}
	}
	living, err := store.Instance(t.Context(), livingInstance)
	if err != nil || living.State != provision.Ready || living.Generation != 2 || living.Parameters["instance_class"] != "db.t3.small" || living.Owner != "group:default/payments" {
		t.Fatalf("what lived is %+v (%v)", living, err)
	}
	if head, err := store.LatestState(t.Context(), livingInstance); err != nil || len(head.Sealed) != 1 {
		t.Errorf("its state has %d bytes (%v)", len(head.Sealed), err)
	}
	if n := count(t, dsn, `SELECT count(*) FROM instances WHERE state = 'destroyed' AND gone_at IS NOT NULL`); n != 1 {
		t.Errorf("%d are destroyed, want 1", n)
	}
	change(t, store, waiting.ID, func(r *provision.Record) error {
		r.TakeBack("its worker is gone")
		return nil
	})
	ready(t, store, waiting.ID)
	after, err := store.Instance(t.Context(), waiting.InstanceID)
	if err != nil || after.State != provision.Ready {
		t.Errorf("what waited is %s (%v)", after.State, err)
	}
	next := accept(t, store, testkit.Created("another", nil))
	ready(t, store, next.Request.ID)
	if n := count(t, dsn, `SELECT count(*) FROM balances b WHERE kind = 'team' AND committed_mills <> (SELECT sum(committed_mills) FROM instances WHERE owner = b.name)`); n != 0 {
		t.Errorf("%d balances are not the sum of what lives", n)
	}
}
