package postgres_test

import (
	"testing"

	"roadbed.dev/roadbed/deploy/providers/internal/testkit"
)

func TestOursIsTakenUpAndForeignIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("objects with our comment are taken up after the state was lost", func(t *testing.T) {
		t.Parallel()
		admin := connect(t, rig.DSN)
		m, _ := newModule(t, "adopt", nil)
		m.Apply()
		before := ask(t, admin, "SELECT oid::text FROM pg_database WHERE datname = 'adopt'")
		m.Write("terraform.tfstate", "")
		m.Apply()
		m.Settled()
		if after := ask(t, admin, "SELECT oid::text FROM pg_database WHERE datname = 'adopt'"); after != before {
			t.Errorf("the database was made again: oid %s, was %s", after, before)
		}
		connect(t, rig.As("adopt", m.Outputs()["password"].(string), "adopt"))
		m.Destroy()
	})
	t.Run("a database that was left half-made is made again", func(t *testing.T) {
		t.Parallel()
		admin := connect(t, rig.DSN)
		m, _ := newModule(t, "nascent", nil)
		m.Apply()
		// As a crash between CREATE DATABASE and what follows it leaves it.
		half := "roadbed_new_" + ask(t, admin, `SELECT left(encode(sha256('nascent\000roadbed:nascent'), 'hex'), 16)`)
		do(t, admin, "DROP DATABASE nascent", "CREATE DATABASE "+half+" OWNER nascent ALLOW_CONNECTIONS false")
		m.Write("terraform.tfstate", "")
		m.Apply()
		m.Settled()
		do(t, admin, "ALTER DATABASE nascent RENAME TO "+half, "ALTER DATABASE "+half+" ALLOW_CONNECTIONS false")
		m.Destroy()
		if got := ask(t, admin, "SELECT count(*)::text FROM pg_database WHERE datname = $1", half); got != "0" {
			t.Error("the half-made database is still there")
		}
	})
	t.Run("a foreign database is refused by name and left alone", func(t *testing.T) {
		t.Parallel()
		admin := connect(t, rig.DSN)
		m, _ := newModule(t, "foreign_db", nil)
		do(t, admin, "CREATE DATABASE foreign_db", "COMMENT ON DATABASE foreign_db IS 'roadbed:another'")
		wantText(t, m.ApplyFails(), `Database "foreign_db" already exists`, "is not ours", `"roadbed:another"`, `"roadbed:foreign_db"`, "terraform import")
		m.Destroy()
		if got := ask(t, admin, "SELECT count(*)::text FROM pg_database WHERE datname = 'foreign_db'"); got != "1" {
			t.Error("a foreign database was dropped")
		}
	})
	t.Run("a foreign role is refused by name and left alone", func(t *testing.T) {
		t.Parallel()
		admin := connect(t, rig.DSN)
		m, _ := newModule(t, "foreign_role", nil)
		do(t, admin, "CREATE ROLE foreign_role")
		wantText(t, m.ApplyFails(), `Role "foreign_role" already exists`, "no comment")
		m.Destroy()
		do(t, admin, "DROP ROLE foreign_role")
	})
	t.Run("an object that somebody replaced is not ours to drop", func(t *testing.T) {
		t.Parallel()
		admin := connect(t, rig.DSN)
		m, _ := newModule(t, "replaced", nil)
		m.Apply()
		do(t, admin, "DROP DATABASE replaced", "CREATE DATABASE replaced")
		out, _ := m.Plan()
		wantText(t, testkit.Flat(out), `Database "replaced" is no longer ours`, "postgres_database.main will be created")
		wantText(t, m.ApplyFails(), `Database "replaced" already exists`)
		m.Destroy()
		if got := ask(t, admin, "SELECT count(*)::text FROM pg_database WHERE datname = 'replaced'"); got != "1" {
			t.Error("somebody else's database was dropped")
		}
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	m, _ := newModule(t, "imported", map[string]any{"limit": 4})
	admin := connect(t, rig.DSN)
	do(t, admin, "CREATE ROLE imported LOGIN PASSWORD 'theirs'", "CREATE DATABASE imported OWNER imported",
		"CREATE ROLE imported_reader LOGIN", "COMMENT ON ROLE imported_reader IS 'roadbed:imported'")
	m.Run("import", "-no-color", "postgres_role.owner", "imported")
	m.Run("import", "-no-color", "postgres_role.reader", "imported_reader")
	m.Run("import", "-no-color", "postgres_database.main", "imported")
	out, _ := m.Plan()
	wantText(t, out, "0 to add, 3 to change, 0 to destroy")
	m.Apply()
	m.Settled()
	connect(t, rig.As("imported", m.Outputs()["password"].(string), "imported"))
	refuses(t, rig.As("imported", "theirs", "imported"), "password authentication failed")
	m.Run("state", "rm", "postgres_role.reader")
	out, code := m.Try("import", "-no-color", "postgres_role.reader", "imported_nobody")
	if code == 0 {
		t.Error("imported a role that does not exist")
	}
	wantText(t, testkit.Flat(out), "Cannot import non-existent remote object")
}
