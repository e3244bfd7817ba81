package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// leakyOffering takes a secret and does everything with it that a module should
// not: prints it, puts it into a diagnostic, and fails.
var leakyOffering = map[string]string{
	"offering.yaml": `
name: Leaky
description: Says what it should not
category: tests
icon: leak
version: 1.0.0
parameters:
  - {name: database_name, type: string, required: true, pattern: "^[a-z][a-z0-9-]{2,30}$"}
  - {name: environment, type: enum, required: true, options: [dev]}
  - {name: team_owner, type: string, required: true}
  - {name: cost_center, type: string, required: true}
  - {name: password, type: string, required: true, sensitive: true}
outputs: []
cost_estimate: {monthly_min: 1, monthly_max: 1, formula: "total = 1"}
steps:
  - {name: Validate request, phase: validate}
  - {name: Plan, phase: plan}
  - {name: Leak, addresses: [terraform_data.kept, terraform_data.leak]}
`,
	"module/local/main.tf": `
variable "database_name" { type = string }
variable "environment" { type = string }
variable "team_owner" { type = string }
variable "cost_center" { type = string }
variable "password" { type = string }
variable "roadbed" { type = any }

resource "terraform_data" "kept" { input = { password = var.password, token = "token-of-${var.password}" } }

resource "terraform_data" "leak" {
  input = terraform_data.kept.id
  provisioner "local-exec" {
    command = "echo the password is ${var.password}; echo ${base64encode(var.password)}; env | grep -i -e dsn -e token; echo cannot log in with ${var.password} >&2; exit 3"
  }
}

output "password" {
  value     = var.password
  sensitive = true
}
`,
}

func writeOfferings(t *testing.T) func(dir string) {
	return func(dir string) {
		t.Helper()
		shipped, err := fs.Sub(templates.FS, "postgres-database")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, "postgres-database"), shipped); err != nil {
			t.Fatal(err)
		}
		for name, text := range leakyOffering {
			writeFile(t, filepath.Join(dir, "leaky", name), text)
		}
	}
}

// TestNoSecretInClear is law 7: nothing that is secret, made or given, is found
// anywhere but where it is used and handed out.
func TestNoSecretInClear(t *testing.T) {
	t.Parallel()
	traced, address := collect(t)
	r := newRoad(t, options{delay: "1s", offerings: writeOfferings(t), env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + address, "OTEL_BSP_SCHEDULE_DELAY=50"}})
	r.startWorker("w1")
	parameter := "canary-parameter-" + uuid.NewString()
	secrets := map[string]string{"the pool's token": r.poolKey, "the given password": parameter}

	good := r.submit(r.submission("dev"))
	secrets["the run's token"] = r.runToken("w1", r.runID(good.Id))
	leaky := r.submission("dev")
	leaky.Offering = "leaky"
	leaky.Parameters["password"] = parameter
	bad := r.submit(leaky)
	r.untilMaking(good.Id)
	watched := r.processes()
	r.untilState(bad.Id, provision.Failed)
	r.untilState(good.Id, provision.Succeeded)
	credentials, err := r.as(ann).Credentials(t.Context(), *good.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"password", "monitor_password"} {
		secrets["the database's "+name], _ = credentials[name].(string)
	}
	dsn, err := url.Parse(parts.target.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["the provider's password"], _ = dsn.User.Password()
	r.until("the runs' directories are wiped", func() bool {
		left, _ := filepath.Glob(r.path("w1/runs/*"))
		return len(left) == 0
	})
	r.until("every message is looked at", r.settled)
	for i, token := range r.tokens {
		secrets[fmt.Sprintf("token %d of a person", i)] = token
	}
	failed, err := r.as(ann).Request(t.Context(), bad.Id)
	if err != nil || failed.Error.Name != "Leak" || failed.Error.Detail == "" {
		t.Errorf("the leaky module failed with %+v %v, so it has not said what it should not", failed.Error, err)
	}
	log, err := r.as(ann).Logs(t.Context(), bad.Id, 0)
	if err != nil || !slices.ContainsFunc(log, func(l provision.LogEntry) bool { return strings.Contains(l.Text, "terraform_data.leak") }) {
		t.Errorf("the failed run has no log, and a reader nothing to go by: %v %v", log, err)
	}

	s := search{t: t, needles: secrets}
	for _, row := range r.rows() {
		s.in("the database", row)
	}
	for _, stream := range []string{"JOBS", "REPORTS", "LOGS", "EVENTS"} {
		for _, m := range r.stream(stream) {
			s.in("the stream "+stream, append(append([]byte(fmt.Sprint(m.Header)), ' '), m.Data...))
		}
	}
	for _, m := range r.heard.on("") {
		s.in("a message on "+m.Subject, m.Data)
	}
	s.inFiles(r.dir, r.path("keys"))
	s.inFiles(r.nats.Dir(), "")
	if len(watched) < 4 {
		t.Errorf("%d processes were looked at; the sidecar, a worker, a supervisor and Terraform must be among them", len(watched))
	}
	for _, p := range watched {
		s.in("a command line, which anybody may read", p.cmdline)
		// Terraform and who starts it know how providers log in; nobody else does.
		others := search{t: t, needles: map[string]string{}}
		for name, secret := range secrets {
			if name != "the provider's password" {
				others.needles[name] = secret
			}
		}
		others.in("the environment of "+string(p.cmdline), p.environ)
	}
	s.in("the metrics", r.metricsPage())
	s.in("the traces", traced.text(t))
	for _, path := range []string{
		"/requests/" + good.Id.String(), "/requests/" + bad.Id.String(), "/requests", "/instances", "/instances/" + good.InstanceId.String(),
		"/instances/" + bad.InstanceId.String(), "/offerings", "/environments", "/me",
	} {
		s.in(path, r.get(path, "application/json", r.portal.user(t, ann)))
	}
	for _, id := range []uuid.UUID{good.Id, bad.Id} {
		for _, kind := range []string{"/events", "/logs"} {
			s.in(kind, r.get("/requests/"+id.String()+kind, "text/event-stream", r.portal.user(t, ann)))
		}
	}
	s.in("the entity feed", r.get("/entities", "application/json", r.portal.plugin(t, "catalog", "")))
	if s.bytes < 100<<10 {
		t.Errorf("only %d bytes were searched; the search has lost its places", s.bytes)
	}
	r.audit()
}

// seenProcess is what others may see of a process.
type seenProcess struct{ cmdline, environ []byte }

// processes are those that have to do with this road.
func (r *road) processes() []seenProcess {
	var found []seenProcess
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		cmdline, _ := os.ReadFile(file) // one that has ended is not looked at
		environ, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		work, _ := os.Readlink(filepath.Join(filepath.Dir(file), "cwd"))
		if bytes.Contains(cmdline, []byte(r.dir)) || strings.HasPrefix(work, r.dir) {
			found = append(found, seenProcess{bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}), environ})
		}
	}
	return found
}

// metricsPage is what Prometheus is told.
func (r *road) metricsPage() []byte {
	r.t.Helper()
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", r.metrics))
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Contains(body, []byte("roadbed_http_requests_total")) {
		r.t.Errorf("the metrics are %d bytes without ours, %v", len(body), err)
	}
	return body
}

// runToken reads a run's token from its directory, which nobody else may enter.
func (r *road) runToken(worker, run string) string {
	r.t.Helper()
	dir := filepath.Join(r.path(worker), "runs", run)
	var record struct {
		Claim struct {
			Token string `json:"token"`
		} `json:"claim"`
	}
	r.until("the worker keeps its claim", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "run.json"))
		return err == nil && json.Unmarshal(text, &record) == nil && record.Claim.Token != ""
	})
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "run.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			r.t.Errorf("%s has mode %v %v, want %v", path, info.Mode(), err, want)
		}
	}
	return record.Claim.Token
}

// rows is every row of every table as text, bytes as hexadecimal.
func (r *road) rows() [][]byte {
	r.t.Helper()
	tables, err := r.pool.Query(r.t.Context(), "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			r.t.Fatal(err)
		}
		names = append(names, name)
	}
	var all [][]byte
	for _, name := range names {
		rows, err := r.pool.Query(r.t.Context(), "SELECT t::text FROM "+name+" t")
		if err != nil {
			r.t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				r.t.Fatal(err)
			}
			all = append(all, []byte(name+" "+text))
		}
		if err := rows.Err(); err != nil {
			r.t.Fatal(err)
		}
	}
	if len(names) < 8 || len(all) < 50 {
		r.t.Errorf("%d tables with %d rows were found; there must be more", len(names), len(all))
	}
	return all
}

// get is an answer as it is sent; of a stream, what comes until it ends or has
// been silent.
func (r *road) get(path, accept, token string) []byte {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		r.t.Fatalf("get %s: %v", path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
		r.t.Errorf("get %s: %d, %d bytes, %v", path, res.StatusCode, len(body), err)
	}
	return body
}

// search looks for secrets as they are and as they may be written.
type search struct {
	t       *testing.T
	needles map[string]string
	bytes   int
}

func (s *search) in(place string, text []byte) {
	s.t.Helper()
	s.bytes += len(text)
	for name, secret := range s.needles {
		if len(secret) < 12 {
			s.t.Fatalf("%s is %d bytes long; a search for it proves nothing", name, len(secret))
		}
		quoted, _ := json.Marshal(secret)
		for _, form := range []string{
			secret, string(quoted[1 : len(quoted)-1]), hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawURLEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret),
		} {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				around := string(text[max(0, at-80):min(len(text), at+len(form)+20)])
				s.t.Errorf("%s is in %s: …%s…", name, place, strings.ReplaceAll(around, form, "********"))
				break
			}
		}
	}
}

// inFiles searches every file below dir but those of one folder.
func (s *search) inFiles(dir, except string) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == except:
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s.in(path, text)
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

// TestStreamsAreWhole reads a request's events over a sidecar that is killed in
// the middle: what was seen is the log of events, without gap or repeat.
func TestStreamsAreWhole(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "2s"})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	owner := r.patient(ann)
	var seen []int64
	followed := make(chan error, 1)
	half := make(chan struct{})
	go func() {
		followed <- owner.Follow(t.Context(), request.Id, 0, func(e api.Event) error {
			if seen = append(seen, e.Sequence); len(seen) == 5 {
				close(half)
			}
			return nil
		})
	}()
	<-half
	r.sidecar.kill()
	r.sidecar.start()
	if err := <-followed; err != nil {
		t.Fatalf("follow: %v", err)
	}
	for i, sequence := range seen {
		if sequence != int64(i+1) {
			t.Fatalf("the events seen are %v", seen)
		}
	}
	if n := r.number("SELECT count(*) FROM events WHERE subject_id = $1", request.Id); n != len(seen) {
		t.Errorf("%d events were seen of %d", len(seen), n)
	}
	r.wantOnce(request.Id, request.Parameters["database_name"])
}
