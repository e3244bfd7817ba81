//go:build doors

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// These tests need Node.js and the packages of a Backstage; `make test-doors`
// has them and names them in the environment: ROADBED_NODE, and ROADBED_DOORS
// as release=node_modules, separated by commas.

// stock is a Backstage that has nothing of ours in it.
type stock struct {
	*road
	release string
	url     string
}

func newStock(t *testing.T, release, modules string) *stock {
	t.Helper()
	shareParts(t)
	node, err := filepath.Abs(os.Getenv("ROADBED_NODE"))
	if err != nil {
		t.Fatal(err)
	}
	port, feed := testkit.FreePort(t), testkit.FreePort(t)
	s := &stock{release: release, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	dir := t.TempDir()
	key, err := backstage.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := backstage.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "canary-of-the-feed-0123456789abcdef"
	writeFile(t, filepath.Join(dir, "signing.pem"), string(pem))
	writeFile(t, filepath.Join(dir, "feed.secret"), secret+"\n")
	feedURL := fmt.Sprintf("http://127.0.0.1:%d", feed)
	s.road = newRoad(t, options{backstage: s.url, args: []string{
		"--signing-key", filepath.Join(dir, "signing.pem"), "--feed-listen", strings.TrimPrefix(feedURL, "http://"),
		"--feed-secret", filepath.Join(dir, "feed.secret"), "--permissions",
	}})

	root := repository(t)
	// As in the repository, but with the packages of another release.
	program := filepath.Join(dir, "backstage", "doors")
	for _, part := range []string{"doors", "packages/backend/src"} {
		if err := os.CopyFS(filepath.Join(dir, "backstage", part), os.DirFS(filepath.Join(root, "deploy/backstage", part))); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "backstage", "package.json"), `{"name":"doors","type":"module","workspaces":[]}`)
	if err := os.Symlink(modules, filepath.Join(dir, "backstage", "node_modules")); err != nil {
		t.Fatal(err)
	}
	database := testkit.EmptyDatabase(t)
	log, err := os.Create(s.path("backstage.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd := exec.Command(node, "index.ts", "--config", "app-config.yaml")
	cmd.Dir, cmd.Stdout, cmd.Stderr = program, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(),
		"NODE_ENV=production", "NODE_OPTIONS=", "DOORS_BASE_URL="+s.url, fmt.Sprintf("DOORS_PORT=%d", port), "DOORS_DATABASE="+database,
		"DOORS_FEED_HOST="+strings.TrimPrefix(feedURL, "http://"), "DOORS_FEED="+feedURL+"/"+secret+"/index.yaml", "ROADBED_BASE_URL="+s.base(),
		"DOORS_ORG="+filepath.Join(root, "deploy/backstage/examples/org.yaml"), "DOORS_TEMPLATES="+filepath.Join(program, "templates.yaml"),
	)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	s.eventually("Backstage is ready", func() bool {
		select {
		case <-ended:
			t.Fatal("Backstage has ended by itself")
		default:
		}
		res, err := http.Get(s.url + "/.backstage/health/v1/readiness")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return s
}

// eventually is until for what Backstage is asked: it asks less often.
func (s *stock) eventually(what string, so func() bool) {
	s.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	s.until(what, func() bool {
		<-tick.C
		return so()
	})
}

// ask sends JSON to a plugin and answers the status and the body.
func (s *stock) ask(method, path, token string, in any) (int, []byte) {
	s.t.Helper()
	var body []byte
	var err error
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			s.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/api/"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, text
}

// signIn is the token of a person's browser.
func (s *stock) signIn(user string) string {
	s.t.Helper()
	var answer struct {
		BackstageIdentity struct{ Token string }
	}
	s.eventually(user+" is signed in", func() bool {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/api/auth/demo/refresh", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("x-demo-user", user)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&answer) == nil
	})
	return answer.BackstageIdentity.Token
}

// entity is an entity of the catalog; nil when there is none.
func (s *stock) entity(token, path string) map[string]any {
	status, text := s.ask(http.MethodGet, "catalog/entities/by-name/"+path, token, nil)
	var entity map[string]any
	if status != http.StatusOK || json.Unmarshal(text, &entity) != nil {
		return nil
	}
	return entity
}

func annotation(entity map[string]any, name string) string {
	metadata, _ := entity["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations[name].(string)
	return text
}

// task runs a template to its end, and answers how it ended, its output and all
// that its log says.
func (s *stock) task(token, template string, values map[string]any) (status string, output map[string]any, log string) {
	s.t.Helper()
	code, text := s.ask(http.MethodPost, "scaffolder/v2/tasks", token, map[string]any{"templateRef": "template:default/" + template, "values": values})
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil || code != http.StatusCreated {
		s.t.Fatalf("start %s: %d %s", template, code, text)
	}
	var task struct{ Status string }
	s.eventually("task "+template+" has ended", func() bool {
		_, text := s.ask(http.MethodGet, "scaffolder/v2/tasks/"+made.ID, token, nil)
		return json.Unmarshal(text, &task) == nil && (task.Status == "completed" || task.Status == "failed")
	})
	_, text = s.ask(http.MethodGet, "scaffolder/v2/tasks/"+made.ID+"/events", token, nil)
	var events []struct {
		Body struct {
			Output map[string]any
		}
	}
	if err := json.Unmarshal(text, &events); err != nil {
		s.t.Fatalf("events of %s: %v %s", template, err, text)
	}
	for _, event := range events {
		if event.Body.Output != nil {
			output = event.Body.Output
		}
	}
	return task.Status, output, string(text)
}

// tool calls an MCP method and answers its result.
func (s *stock) tool(token, method string, params any) map[string]any {
	s.t.Helper()
	code, text := s.ask(http.MethodPost, "mcp-actions/v1", token, map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	for line := range strings.Lines(string(text)) {
		var answer struct {
			Result map[string]any
			Error  any
		}
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &answer) == nil && answer.Result != nil {
			return answer.Result
		}
	}
	s.t.Fatalf("%s answered %d %s", method, code, text)
	return nil
}

// TestDoors goes the whole road by configuration alone, on each release of
// Backstage that there is: forms and instances by the feed, asks by the actions
// protocol, by an HTTP action and by an agent.
func TestDoors(t *testing.T) {
	releases := strings.Split(os.Getenv("ROADBED_DOORS"), ",")
	for _, each := range releases {
		release, modules, ok := strings.Cut(each, "=")
		if !ok {
			t.Fatalf("ROADBED_DOORS is %q; run make test-doors", os.Getenv("ROADBED_DOORS"))
		}
		t.Run(release, func(t *testing.T) { doors(t, newStock(t, release, modules)) })
	}
}

func doors(t *testing.T, s *stock) {
	s.startWorker("w1")
	ann := s.signIn("ann")
	values := func(more ...any) map[string]any {
		v := map[string]any{"environment": "dev", "team_owner": "group:default/payments", "cost_center": "CC-1234"}
		for i := 0; i+1 < len(more); i += 2 {
			v[more[i].(string)] = more[i+1]
		}
		return v
	}
	s.eventually("the form is in the catalog", func() bool {
		return s.entity(ann, "template/default/postgres-database") != nil && s.entity(ann, "template/default/database-by-http") != nil
	})

	// By a form of the feed and the actions protocol.
	name := "orders-" + s.mark
	status, output, log := s.task(ann, "postgres-database", values("database_name", name))
	if status != "completed" || !strings.Contains(log, "was asked for") {
		t.Fatalf("the task has %s: %s", status, log)
	}
	if links := fmt.Sprint(output["links"]); !strings.Contains(links, "resource:dev/"+name+".postgres-database") {
		t.Errorf("its output is %v", output)
	}
	resource := "resource/dev/" + name + ".postgres-database"
	s.eventually("the database is ready in the catalog", func() bool { return annotation(s.entity(ann, resource), "roadbed.dev/phase") == "ready" })

	// What is refused is red, with its reasons.
	again, _, log := s.task(ann, "postgres-database", values("database_name", name))
	if again != "failed" || !strings.Contains(log, "already exists") {
		t.Errorf("the same name again has %s: %s", again, log)
	}
	denied, _, log := s.task(ann, "postgres-database", values("database_name", "large-"+s.mark, "multi_az", true))
	if denied != "failed" || !strings.Contains(log, "exceeds limit $100/month for dev") || !strings.Contains(log, "Smallest changes that fit") {
		t.Errorf("what policy denies has %s: %s", denied, log)
	}

	// By Roadie's HTTP action.
	byHTTP := "parcels-" + s.mark
	if status, output, log := s.task(ann, "database-by-http", map[string]any{"database_name": byHTTP}); status != "completed" || output["request"] == "" {
		t.Errorf("by HTTP it has %s: %v %s", status, output, log)
	}
	s.eventually("it is in the catalog", func() bool { return s.entity(ann, "resource/dev/"+byHTTP+".postgres-database") != nil })

	// By an agent.
	tools := map[string]bool{}
	for _, tool := range s.tool(ann, "tools/list", map[string]any{})["tools"].([]any) {
		tool := tool.(map[string]any)
		hints, _ := tool["annotations"].(map[string]any)
		tools[tool["name"].(string)] = hints["destructiveHint"] == true
	}
	if destructive, ok := tools["roadbed.destroy"]; !ok || !destructive || tools["roadbed.check"] || len(tools) != 8 {
		t.Errorf("tools are %v", tools)
	}
	call := func(token, tool string, input map[string]any) map[string]any {
		t.Helper()
		result := s.tool(token, "tools/call", map[string]any{"name": "roadbed." + tool, "arguments": input})
		content, ok := result["structuredContent"].(map[string]any)
		if !ok {
			t.Fatalf("%s answered %v", tool, result)
		}
		return content
	}
	if checked := call(ann, "check", map[string]any{"offering": "postgres-database", "parameters": values("database_name", "agent-"+s.mark, "multi_az", true)}); checked["decision"] != "deny" {
		t.Errorf("an agent's check = %v", checked)
	}
	if stranger := call(s.signIn("ben"), "destroy", map[string]any{"instance": "resource:dev/" + name + ".postgres-database", "confirm": name}); stranger["decision"] != "deny" {
		t.Errorf("an agent of someone else = %v", stranger)
	}
	// Roadbed's rules let the platform team end anything; this portal's policy does not let pat.
	forbidden := call(s.signIn("pat"), "destroy", map[string]any{"instance": "resource:dev/" + name + ".postgres-database", "confirm": name})
	if forbidden["decision"] != "deny" || !strings.Contains(fmt.Sprint(forbidden["text"]), "permission policy does not let user:default/pat do this (roadbed.instance.delete)") {
		t.Errorf("what the portal's policy denies = %v", forbidden)
	}
	s.tellPermissionCost(s.signIn("ben"))
	ended := call(ann, "destroy", map[string]any{"instance": "resource:dev/" + name + ".postgres-database", "confirm": name})
	if ended["accepted"] != true {
		t.Fatalf("an agent's destroy = %v", ended)
	}
	s.eventually("it is gone", func() bool {
		return call(ann, "get-request", map[string]any{"requestId": ended["requestId"]})["state"] == "succeeded"
	})
	gone := time.Now()
	s.eventually("it is gone from the catalog, too", func() bool { return s.entity(ann, resource) == nil })
	t.Logf("Backstage %s: gone from the catalog %.1f s after the database", s.release, time.Since(gone).Seconds())
}

// tellPermissionCost says what the portal's policy adds to a read of someone
// who is known already: the first time, and while its word is fresh.
func (s *stock) tellPermissionCost(token string) {
	s.t.Helper()
	read := func(path string) time.Duration {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base()+path, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		began := time.Now()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			s.t.Errorf("GET %s answered %d", path, res.StatusCode)
		}
		return time.Since(began).Round(100 * time.Microsecond)
	}
	read("/.backstage/actions/v1/status") // asks nothing of the policy
	before := read("/.backstage/actions/v1/status")
	first, fresh := read("/environments"), read("/environments")
	s.t.Logf("Backstage %s: a call takes %s, %s more when the policy is asked and %s more while its word is fresh", s.release, before, first-before, fresh-before)
}
