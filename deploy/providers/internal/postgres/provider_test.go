package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/deploy/providers/internal/testkit"
)

// rig is set before the first test and closed after the last.
var rig *testkit.Rig

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if rig, err = testkit.NewRig(); err != nil {
		return 1, err
	}
	defer rig.Close()
	return m.Run(), nil
}

const module = `
terraform {
  required_providers {
    postgres = { source = "roadbed/postgres", version = "0.1.0" }
  }
}

provider "postgres" {}

variable "name" { type = string }
variable "comment" { type = string }
variable "member_of" {
  type    = set(string)
  default = []
}
variable "limit" {
  type    = number
  default = -1
}
variable "login" {
  type    = bool
  default = true
}
variable "settings" {
  type    = map(string)
  default = {}
}
variable "password_version" {
  type    = number
  default = 1
}
variable "delay" {
  type    = string
  default = null
}
variable "final_snapshot" {
  type    = string
  default = null
}

resource "postgres_role" "owner" {
  name             = var.name
  comment          = var.comment
  member_of        = var.member_of
  login            = var.login
  connection_limit = var.limit
  password_version = var.password_version
}

resource "postgres_role" "reader" {
  name    = "${var.name}_reader"
  comment = var.comment
}

resource "postgres_database" "main" {
  name             = var.name
  owner            = postgres_role.owner.name
  comment          = var.comment
  connection_limit = var.limit
  settings         = var.settings
  allow_connect    = [postgres_role.reader.name]
  create_delay     = var.delay
  final_snapshot   = var.final_snapshot
}

output "host" { value = postgres_database.main.host }
output "port" { value = postgres_database.main.port }
output "password" {
  value     = postgres_role.owner.password
  sensitive = true
}
output "reader_password" {
  value     = postgres_role.reader.password
  sensitive = true
}
`

// newModule is a module whose objects have this name.
func newModule(t *testing.T, name string, more map[string]any) (*testkit.Module, map[string]any) {
	t.Helper()
	m := rig.Module(t, map[string]string{"main.tf": module})
	variables := map[string]any{"name": name, "comment": "roadbed:" + name}
	for key, value := range more {
		variables[key] = value
	}
	m.Variables(variables)
	t.Cleanup(func() { dropAll(t, name) })
	return m, variables
}

// dropAll removes what a test may have left, whoever made it.
func dropAll(t *testing.T, name string) {
	admin := connect(t, rig.DSN)
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)",
		"DROP ROLE IF EXISTS " + quote(name),
		"DROP ROLE IF EXISTS " + quote(name+"_reader"),
	} {
		if _, err := admin.Exec(context.Background(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func do(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// ask returns the one text that a query yields.
func ask(t *testing.T, conn *pgx.Conn, query string, arguments ...any) string {
	t.Helper()
	var text string
	if err := conn.QueryRow(context.Background(), query, arguments...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

func refuses(t *testing.T, dsn, why string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err == nil {
		_ = conn.Close(context.Background())
		t.Errorf("connected; want a refusal with %q", why)
	} else if !strings.Contains(err.Error(), why) {
		t.Errorf("refused with %q, want %q", err, why)
	}
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

func TestAWholeLife(t *testing.T) {
	t.Parallel()
	m, variables := newModule(t, "life", map[string]any{
		"limit": 7, "settings": map[string]string{"work_mem": "8MB", "statement_timeout": "30s"}, "member_of": []string{"pg_monitor"},
	})
	m.Apply()
	m.Settled()
	out := m.Outputs()
	if out["host"] != rig.Host || out["port"] != float64(rig.Port) {
		t.Errorf("located at %v:%v, want %s:%d", out["host"], out["port"], rig.Host, rig.Port)
	}
	password := out["password"].(string)
	if len(password) != 32 {
		t.Errorf("the password has %d characters, want 32", len(password))
	}
	owner := connect(t, rig.As("life", password, "life"))
	do(t, owner, "CREATE TABLE orders (id int)")
	if got := ask(t, owner, "SHOW work_mem"); got != "8MB" {
		t.Errorf("work_mem is %s, want 8MB", got)
	}
	connect(t, rig.As("life_reader", out["reader_password"].(string), "life"))
	admin := connect(t, rig.DSN)
	do(t, admin, "CREATE ROLE life_stranger LOGIN PASSWORD 'stranger'")
	t.Cleanup(func() { do(t, admin, "DROP ROLE life_stranger") })
	refuses(t, rig.As("life_stranger", "stranger", "life"), "permission denied for database")

	t.Run("an update changes it in place, and takes back what is no longer asked for", func(t *testing.T) {
		variables["limit"], variables["settings"], variables["member_of"] = 9, map[string]string{"work_mem": "16MB"}, []string{"pg_read_all_stats"}
		m.Variables(variables)
		out, _ := m.Plan()
		wantText(t, out, "0 to add, 2 to change, 0 to destroy")
		m.Apply()
		m.Settled()
		if got := ask(t, admin, "SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'life'"); got != "{work_mem=16MB}" {
			t.Errorf("settings are %s", got)
		}
		if got := ask(t, admin, "SELECT concat(datconnlimit) FROM pg_database WHERE datname = 'life'"); got != "9" {
			t.Errorf("connection limit is %s, want 9", got)
		}
		connect(t, rig.As("life", password, "life")) // the password is the same
	})
	t.Run("a new password version replaces the password", func(t *testing.T) {
		variables["password_version"] = 2
		m.Variables(variables)
		m.Apply()
		m.Settled()
		refuses(t, rig.As("life", password, "life"), "password authentication failed")
		connect(t, rig.As("life", m.Outputs()["password"].(string), "life"))
	})
	t.Run("no password is in any statement", func(t *testing.T) {
		log, err := rig.Log()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{password, m.Outputs()["password"].(string)} {
			if strings.Contains(log, secret) {
				t.Error("the server's log holds a generated password")
			}
		}
	})
	t.Run("a destroy leaves nothing, though people are connected", func(t *testing.T) {
		m.Destroy()
		if got := ask(t, admin, "SELECT concat((SELECT count(*) FROM pg_database WHERE datname = 'life'), (SELECT count(*) FROM pg_roles WHERE rolname IN ('life', 'life_reader')))"); got != "00" {
			t.Errorf("databases and roles left: %s", got)
		}
	})
}

func TestDriftIsSeenAndRepaired(t *testing.T) {
	t.Parallel()
	m, _ := newModule(t, "drift", map[string]any{"settings": map[string]string{"work_mem": "8MB"}})
	m.Apply()
	admin := connect(t, rig.DSN)
	cases := map[string]struct{ statement, plan string }{
		"a role's connection limit":   {`ALTER ROLE drift CONNECTION LIMIT 3`, "connection_limit = 3 -> -1"},
		"a role's login":              {`ALTER ROLE drift NOLOGIN`, "login            = false -> true"},
		"a role's membership":         {`GRANT pg_signal_backend TO drift`, "pg_signal_backend"},
		"a database's limit":          {`ALTER DATABASE drift CONNECTION LIMIT 5`, "connection_limit = 5 -> -1"},
		"a database's owner":          {`ALTER DATABASE drift OWNER TO postgres`, `"postgres" -> "drift"`},
		"a setting's value":           {`ALTER DATABASE drift SET work_mem TO '1GB'`, `"1GB" -> "8MB"`},
		"a setting that was added":    {`ALTER DATABASE drift SET statement_timeout TO '1s'`, `"statement_timeout" = "1s" -> null`},
		"a database opened to all":    {`GRANT CONNECT ON DATABASE drift TO PUBLIC`, `- "public"`},
		"a right that was taken away": {`REVOKE CONNECT ON DATABASE drift FROM drift_reader`, `+ "drift_reader"`},
		"a role that was dropped":     {`REVOKE CONNECT ON DATABASE drift FROM drift_reader; DROP ROLE drift_reader`, "postgres_role.reader will be created"},
		"a database that was dropped": {`DROP DATABASE drift`, "postgres_database.main will be created"},
	}
	for name, c := range cases { // one after another: they share the objects
		do(t, admin, c.statement)
		out, changes := m.Plan()
		if !changes {
			t.Errorf("%s: the plan sees nothing", name)
		}
		wantText(t, out, c.plan)
		m.Apply()
		m.Settled()
	}
}

func TestHostileNamesAreNames(t *testing.T) {
	t.Parallel()
	for i, name := range []string{
		`a"b'c\d; DROP TABLE x; --`,
		"${file(\"/etc/passwd\")} %{if true}",
		"line\nbreak\ttab é 漢字 $$ $1 @name",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			m, _ := newModule(t, name, map[string]any{
				"comment": name, "settings": map[string]string{"application_name": `x'; DROP DATABASE "y`},
			})
			m.Apply()
			m.Settled()
			admin := connect(t, rig.DSN)
			got := []string{
				ask(t, admin, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", name),
				ask(t, admin, "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1", name),
				ask(t, admin, "SELECT setconfig[1] FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = $1", name),
			}
			if diff := cmp.Diff([]string{name, name, `application_name=x'; DROP DATABASE "y`}, got); diff != "" {
				t.Error(diff)
			}
			m.Destroy()
		})
	}
}

func TestWhatCannotBeIsFoundAtPlanTime(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		variables map[string]any
		want      string
	}{
		"a name that the server would cut off":   {map[string]any{"name": strings.Repeat("é", 32)}, "has 64 bytes; PostgreSQL names have 1 to 63"},
		"a setting that does not exist":          {map[string]any{"settings": map[string]string{"work_memory": "1MB"}}, `unrecognized configuration parameter "work_memory"`},
		"a value that the server does not take":  {map[string]any{"settings": map[string]string{"work_mem": "lots"}}, `invalid value for parameter "work_mem": "lots"`},
		"a setting of the whole server":          {map[string]any{"settings": map[string]string{"shared_buffers": "1GB"}}, "belongs to the whole server"},
		"a setting whose name is not one":        {map[string]any{"settings": map[string]string{`x" TO 1`: "1"}}, "is not the name of a setting"},
		"a setting that is a list":               {map[string]any{"settings": map[string]string{"search_path": "a,b"}}, "is a list of names"},
		"a delay that is not one":                {map[string]any{"delay": "soon"}, `"soon" is not a duration`},
		"a comment that the server cannot store": {map[string]any{"comment": "a\x00b"}, "zero bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := newModule(t, "fault", c.variables)
			out, code := m.Try("plan", "-input=false", "-no-color")
			if code == 0 {
				t.Fatalf("the plan succeeded:\n%s", out)
			}
			wantText(t, testkit.Flat(out), c.want)
		})
	}
}

func TestConnectToGivesARoleItsDatabases(t *testing.T) {
	t.Parallel()
	m := rig.Module(t, map[string]string{"main.tf": strings.Split(module, "resource \"postgres_role\" \"owner\"")[0] + `
resource "postgres_role" "owner" {
  name    = var.name
  comment = var.comment
}
resource "postgres_database" "main" {
  name    = var.name
  owner   = postgres_role.owner.name
  comment = var.comment
}
resource "postgres_role" "reader" {
  name       = "${var.name}_reader"
  comment    = var.comment
  connect_to = [postgres_database.main.name]
}
output "password" {
  value     = postgres_role.reader.password
  sensitive = true
}
`})
	m.Variables(map[string]any{"name": "access", "comment": "roadbed:access"})
	t.Cleanup(func() { dropAll(t, "access") })
	m.Apply()
	m.Settled()
	dsn := rig.As("access_reader", m.Outputs()["password"].(string), "access")
	connect(t, dsn)
	admin := connect(t, rig.DSN)
	do(t, admin, "REVOKE CONNECT ON DATABASE access FROM access_reader")
	refuses(t, dsn, "permission denied for database")
	out, _ := m.Plan()
	wantText(t, out, `+ "access"`)
	do(t, admin, "GRANT CONNECT ON DATABASE access TO PUBLIC")
	out, _ = m.Plan()
	wantText(t, out, `- "public"`)
	m.Apply()
	m.Settled()
	m.Destroy()
}

func TestRolesOfOneDatabaseAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	m := rig.Module(t, map[string]string{"main.tf": strings.Split(module, "resource \"postgres_role\" \"owner\"")[0] + `
resource "postgres_database" "main" {
  name    = var.name
  owner   = "postgres"
  comment = var.comment
}
resource "postgres_role" "many" {
  count      = 10
  name       = "${var.name}_${count.index}"
  comment    = var.comment
  member_of  = ["pg_monitor"]
  connect_to = [postgres_database.main.name]
}
`})
	m.Variables(map[string]any{"name": "many", "comment": "roadbed:many"})
	t.Cleanup(func() { dropAll(t, "many") })
	m.Apply()
	m.Settled()
	m.Destroy()
}

func TestTheConnectionStringIsNeverShown(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"a string that does not parse": "postgres://u:canary-secret@[bad",
		"a server that is not there":   "postgres://u:canary-secret@127.0.0.1:1/postgres",
		"a password that is wrong":     rig.As("postgres", "canary-secret", "postgres"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := newModule(t, "unreachable", nil)
			cmd := m.Command("apply", "-auto-approve", "-input=false", "-no-color")
			cmd.Env = append(cmd.Env, "ROADBED_POSTGRES_DSN="+dsn)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("it succeeded")
			}
			if strings.Contains(string(out), "canary-secret") {
				t.Errorf("the password is shown:\n%s", out)
			}
		})
	}
}
