// Package providers_test runs the local implementations of the offerings with
// the providers of this module, on a real server.
package providers_test

import (
	"context"
	"fmt"
	"html"
	"maps"
	"os"
	"path/filepath"
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

// offering copies the local implementation of an offering and initialises it.
func offering(t *testing.T, id string) *testkit.Module {
	t.Helper()
	source := filepath.Join("..", "..", "backstage-templates", id, "module", "local")
	if out, err := formatted(source); err != nil {
		t.Errorf("terraform fmt -check: %v\n%s", err, out)
	}
	files := map[string]string{}
	for _, pattern := range []string{"*.tf", "*.tftpl"} {
		paths, err := filepath.Glob(filepath.Join(source, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(path)] = string(text)
		}
	}
	m := rig.Module(t, files)
	m.Run("validate", "-no-color")
	if _, err := os.Stat(filepath.Join(m.Dir, ".terraform.lock.hcl")); err != nil {
		t.Errorf("init made no lock from the mirror: %v", err)
	}
	return m
}

func formatted(dir string) (string, error) {
	m := testkit.Module{Dir: dir}
	cmd := m.Command("fmt", "-check", "-diff")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

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

func ask(t *testing.T, conn *pgx.Conn, query string, arguments ...any) string {
	t.Helper()
	var text string
	if err := conn.QueryRow(context.Background(), query, arguments...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

// refused checks that a statement, or a connection if it is empty, is refused.
func refused(t *testing.T, dsn, statement, why string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err == nil {
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(context.Background(), statement)
	}
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: refused with %v, want %q", statement, err, why)
	}
}

func roadbed(shortID, requestID string, settings map[string]string) map[string]any {
	return map[string]any{
		"instance_id": "0198c0de-0000-7000-8000-0000" + shortID,
		"short_id":    shortID,
		"request_id":  requestID,
		"environment": "dev",
		"region":      "local",
		"tags":        map[string]string{"Name": "orders-store", "ManagedBy": "platform", "RequestID": requestID},
		"settings":    settings,
	}
}

func database(shortID string) map[string]any {
	return map[string]any{
		"database_name": "orders-store",
		"environment":   "dev",
		"team_owner":    "backend-team",
		"cost_center":   "CC-1234",
		"roadbed":       roadbed(shortID, "request-1", nil),
	}
}

func TestPostgresDatabase(t *testing.T) {
	t.Parallel()
	m := offering(t, "postgres-database")
	variables := database("ab12cd34")
	variables["custom_parameters"] = map[string]any{"work_mem": "8MB", "shared_buffers": "1GB", "search_path": "a, b"}
	m.Variables(variables)
	m.Run("plan", "-input=false", "-no-color", "-out=plan")
	m.Run("apply", "-input=false", "-no-color", "plan")
	m.Settled()

	out := m.Outputs()
	login := out["credentials"].(map[string]any)
	owner, monitor := login["username"].(string), login["monitor_username"].(string)
	ownerDSN := rig.As(owner, login["password"].(string), "orders_store_ab12cd34")
	monitorDSN := rig.As(monitor, login["monitor_password"].(string), "orders_store_ab12cd34")
	admin := connect(t, rig.DSN)

	t.Run("the outputs say where it is, without a secret", func(t *testing.T) {
		instance := variables["roadbed"].(map[string]any)["instance_id"]
		want := map[string]any{
			"endpoint":               rig.Host,
			"port":                   float64(rig.Port),
			"db_instance_id":         "orders_store_ab12cd34",
			"credentials_secret_arn": fmt.Sprintf("roadbed://instances/%s/credentials", instance),
			"last_snapshot":          "", // these settings keep none
			"monitoring_dashboard":   fmt.Sprintf("postgresql://orders_store_ab12cd34_monitor@%s:%d/orders_store_ab12cd34", rig.Host, rig.Port),
		}
		shown := maps.Clone(out)
		delete(shown, "credentials")
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Error(diff)
		}
		wantLogin := map[string]any{
			"username": "orders_store_ab12cd34_owner", "password": login["password"], "database": "orders_store_ab12cd34",
			"host": rig.Host, "port": float64(rig.Port),
			"monitor_username": "orders_store_ab12cd34_monitor", "monitor_password": login["monitor_password"],
		}
		if diff := cmp.Diff(wantLogin, login); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the addresses are those that the offering's steps name", func(t *testing.T) {
		want := []string{
			"data.postgres_server.this", "postgres_database.main", "postgres_role.monitor", "postgres_role.owner",
			"terraform_data.credentials", "terraform_data.requested",
		}
		if diff := cmp.Diff(want, m.Addresses()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the owner works in it, with the settings that were asked for", func(t *testing.T) {
		conn := connect(t, ownerDSN)
		do(t, conn, "CREATE TABLE orders (id int)", "INSERT INTO orders VALUES (1)", "CREATE SCHEMA s", "CREATE TABLE s.lines (id int)")
		if got := ask(t, conn, "SHOW work_mem"); got != "8MB" {
			t.Errorf("work_mem is %s, want 8MB", got)
		}
		if got := ask(t, admin, "SELECT datconnlimit::text FROM pg_database WHERE datname = 'orders_store_ab12cd34'"); got != "50" {
			t.Errorf("the connection limit is %s, want 50 for db.t3.medium", got)
		}
	})
	t.Run("what cannot be set for one database is on record", func(t *testing.T) {
		shown := m.Run("state", "show", "-no-color", "terraform_data.requested")
		for _, part := range []string{"shared_buffers", "search_path"} {
			if !strings.Contains(shown, part) {
				t.Errorf("%s is missing in:\n%s", part, shown)
			}
		}
		if strings.Contains(shown, "work_mem") {
			t.Errorf("work_mem is applied, yet on record as not:\n%s", shown)
		}
	})
	t.Run("the monitoring role reads and does not write", func(t *testing.T) {
		conn := connect(t, monitorDSN)
		if got := ask(t, conn, "SELECT count(*)::text FROM orders, (SELECT FROM s.lines) l"); got != "0" {
			t.Errorf("read %s rows, want 0", got)
		}
		ask(t, conn, "SELECT count(*)::text FROM pg_stat_activity WHERE query IS NOT NULL")
		for _, statement := range []string{"INSERT INTO orders VALUES (2)", "DELETE FROM orders", "CREATE TABLE mine (id int)", "CREATE TEMP TABLE mine (id int)", "CREATE SCHEMA mine"} {
			refused(t, monitorDSN, statement, "permission denied")
		}
	})
	t.Run("a database that is open to all is warned of, since the monitoring role could read it", func(t *testing.T) {
		elsewhere := rig.As(monitor, login["monitor_password"].(string), "postgres")
		connect(t, elsewhere)
		out, _ := m.Plan()
		if want := "Every role may connect to postgres on this server"; !strings.Contains(testkit.Flat(out), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
		do(t, admin, "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
		refused(t, elsewhere, "", "permission denied for database")
		if out, _ := m.Plan(); strings.Contains(out, "Every role may connect") {
			t.Errorf("it warns, though no database is open:\n%s", out)
		}
	})
	t.Run("others cannot connect, another database's logins among them", func(t *testing.T) {
		other := offering(t, "postgres-database")
		other.Variables(database("ef56ab78"))
		other.Apply()
		theirs := other.Outputs()["credentials"].(map[string]any)
		for _, who := range []string{"", "monitor_"} {
			user, password := theirs[who+"username"].(string), theirs[who+"password"].(string)
			refused(t, rig.As(user, password, "orders_store_ab12cd34"), "", "permission denied for database")
		}
		refused(t, rig.As(owner, login["password"].(string), "orders_store_ef56ab78"), "", "permission denied for database")
		other.Destroy()
	})
	t.Run("an update changes it in place, and a later request alone changes nothing", func(t *testing.T) {
		variables["instance_class"] = "db.r6g.xlarge"
		variables["custom_parameters"] = map[string]any{"work_mem": "16MB", "max_connections": 60}
		variables["roadbed"] = roadbed("ab12cd34", "request-2", nil)
		m.Variables(variables)
		m.Apply()
		m.Settled()
		if got := ask(t, admin, "SELECT datconnlimit::text FROM pg_database WHERE datname = 'orders_store_ab12cd34'"); got != "60" {
			t.Errorf("the connection limit is %s, want 60", got)
		}
		connect(t, ownerDSN)
		variables["roadbed"] = roadbed("ab12cd34", "request-3", nil)
		m.Variables(variables)
		m.Settled()
	})
	t.Run("another credentials version makes both passwords anew", func(t *testing.T) {
		context := roadbed("ab12cd34", "request-4", nil)
		context["credentials_version"] = 2
		variables["roadbed"] = context
		m.Variables(variables)
		m.Apply()
		m.Settled()
		refused(t, ownerDSN, "", "password authentication failed")
		refused(t, monitorDSN, "", "password authentication failed")
		fresh := m.Outputs()["credentials"].(map[string]any)
		ownerDSN = rig.As(owner, fresh["password"].(string), "orders_store_ab12cd34")
		connect(t, rig.As(monitor, fresh["monitor_password"].(string), "orders_store_ab12cd34"))
	})
	t.Run("a destroy leaves nothing", func(t *testing.T) {
		connect(t, ownerDSN)
		m.Destroy()
		got := ask(t, admin, `SELECT concat((SELECT count(*) FROM pg_database WHERE datname LIKE '%ab12cd34%' OR datname LIKE 'roadbed_new_%'),
			(SELECT count(*) FROM pg_roles WHERE rolname LIKE '%ab12cd34%'))`)
		if got != "00" {
			t.Errorf("databases and roles left: %s", got)
		}
	})
}

func TestPostgresDatabaseRefusesWhatTheContractRefuses(t *testing.T) {
	t.Parallel()
	m := offering(t, "postgres-database")
	for name, c := range map[string]struct {
		parameter string
		value     any
	}{
		"a name that begins with a digit":      {"database_name", "1orders"},
		"a name of 32 characters":              {"database_name", strings.Repeat("a", 32)},
		"an unknown environment":               {"environment", "test"},
		"an unknown class":                     {"instance_class", "db.t3.nano"},
		"19 GB":                                {"storage_gb", 19},
		"1001 GB":                              {"storage_gb", 1001},
		"half a GB":                            {"storage_gb", 20.5},
		"no backups":                           {"backup_retention_days", 0},
		"36 days of backups":                   {"backup_retention_days", 36},
		"no owner":                             {"team_owner", " "},
		"no cost center":                       {"cost_center", ""},
		"a custom parameter that is no name":   {"custom_parameters", map[string]string{"a b": "1"}},
		"any number of connections":            {"custom_parameters", map[string]string{"max_connections": "-1"}},
		"an instance id that marks nothing":    {"roadbed", map[string]any{"instance_id": "", "short_id": "aaaa0000", "request_id": "r", "environment": "dev", "region": "", "tags": map[string]string{}}},
		"a short id that is not one":           {"roadbed", roadbed("../../x", "r", nil)},
		"a setting's value that does not work": {"custom_parameters", map[string]string{"work_mem": "lots"}},
	} {
		variables := database("aaaa0000")
		variables[c.parameter] = c.value
		m.Variables(variables)
		out, code := m.Try("plan", "-input=false", "-no-color")
		want := c.parameter
		if strings.HasPrefix(name, "a setting's") {
			want = `invalid value for parameter "work_mem"`
		}
		if code == 0 || !strings.Contains(testkit.Flat(out), want) {
			t.Errorf("%s: exit code %d, want a refusal that names %s:\n%s", name, code, want, out)
		}
	}
}

// hostile holds what Terraform, HTML and JSON each treat as more than text.
const hostile = "Dear all,\n\n${file(\"/etc/passwd\")} %{if true}yes%{endif} $${a} %%{b}\r\n" +
	"<script>alert('x')</script> & &amp; </p> \"quoted\" 'single' \\n \\ \t é 漢字 \u2028 🙂\n"

func TestStaticSite(t *testing.T) {
	t.Parallel()
	m := offering(t, "static-site")
	sites := t.TempDir()
	variables := map[string]any{
		"site_name":        "team-page",
		"environment":      "dev",
		"team_owner":       "frontend-team",
		"cost_center":      "CC-7",
		"title":            `Us & "them" ${1+1}`,
		"message":          hostile,
		"visits_per_month": 5000,
		"roadbed":          roadbed("ab12cd34", "request-1", map[string]string{"sites_directory": sites + "/"}),
	}
	m.Variables(variables)
	m.Run("plan", "-input=false", "-no-color", "-out=plan")
	m.Run("apply", "-input=false", "-no-color", "plan")
	m.Settled()

	path := filepath.Join(sites, "team-page-ab12cd34", "index.html")
	if diff := cmp.Diff(map[string]any{"message": hostile, "path": path, "url": "file://" + path}, m.Outputs()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"local_file.index", "terraform_data.content"}, m.Addresses()); diff != "" {
		t.Error(diff)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<p>")
	body, _, _ := strings.Cut(rest, "</p>")
	if strings.ContainsAny(body, `<>"'`) {
		t.Errorf("the message is not escaped:\n%s", body)
	}
	if diff := cmp.Diff(hostile, html.UnescapeString(body)); diff != "" {
		t.Errorf("the page does not show the message word for word: %s", diff)
	}
	if !strings.Contains(string(page), "<title>Us &amp; &quot;them&quot; ${1+1}</title>") {
		t.Errorf("the title is missing in:\n%s", page)
	}

	t.Run("a page that was changed or removed behind our back is drift", func(t *testing.T) {
		if err := os.WriteFile(path, []byte("defaced"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, changes := m.Plan(); !changes {
			t.Errorf("the plan sees nothing:\n%s", out)
		}
		m.Apply()
		m.Settled()
	})
	t.Run("another message is another page", func(t *testing.T) {
		variables["message"] = "Short."
		m.Variables(variables)
		m.Apply()
		m.Settled()
		if got := m.Outputs()["message"]; got != "Short." {
			t.Errorf("the message is %q", got)
		}
	})
	t.Run("an environment without a directory for sites is refused", func(t *testing.T) {
		bad := maps.Clone(variables)
		bad["roadbed"] = roadbed("ab12cd34", "request-2", map[string]string{"sites_directory": "relative"})
		m.Variables(bad)
		out, code := m.Try("plan", "-input=false", "-no-color")
		if code == 0 || !strings.Contains(testkit.Flat(out), "absolute sites_directory") {
			t.Errorf("exit code %d:\n%s", code, out)
		}
		m.Variables(variables)
	})
	t.Run("a destroy removes the page", func(t *testing.T) {
		m.Destroy()
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the page is still there: %v", err)
		}
	})
}
