package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// withProduction is a rig that can make things in prod, too.
func withProduction(t *testing.T) *rig {
	return newRig(t, func(c *httpapi.Config) {
		c.Service.Environments["prod"] = provision.Environment{Name: "prod", Title: "Production", Implementation: "local", Pool: "local", Region: "local"}
		c.Service.Directory = someDirectory{}
	})
}

// someDirectory knows who approves.
type someDirectory struct{}

func (someDirectory) Members(context.Context, string) ([]string, error) { return []string{pat}, nil }

// database posts the form with what differs from it, and answers as a script
// reads it.
func (r *rig) createDatabase(differs map[string]any) (status int, body map[string]any) {
	r.t.Helper()
	parameters := map[string]any{
		"database_name": "my-service-db", "environment": "dev", "instance_class": "db.t3.medium", "storage_gb": 100,
		"team_owner": "payments", "cost_center": "CC-1234",
	}
	maps.Copy(parameters, differs)
	text, err := json.Marshal(parameters)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.read(http.MethodPost, "/api/v1/databases", string(text))
}

func (r *rig) read(method, path, text string) (status int, body map[string]any) {
	r.t.Helper()
	got := r.raw(method, path, r.jsonBy(ann), text)
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		r.t.Fatalf("%s %s answered %d %s", method, path, got.status, got.body)
	}
	return got.status, body
}

// wantMembers fails the test unless an object has these members and no other.
func wantMembers(t *testing.T, what string, object map[string]any, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, want) {
		t.Errorf("%s has the members %v, want %v", what, got, want)
	}
}

func TestADatabaseTravelsThroughTheSixStatuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	status, accepted := r.createDatabase(nil)
	if status != http.StatusAccepted || accepted["status"] != "pending" || accepted["database_name"] != "my-service-db" || accepted["estimated_completion_time"] != nil {
		t.Fatalf("accepted: %d %v", status, accepted)
	}
	wantMembers(t, "what was accepted", accepted, "request_id", "status", "database_name", "estimated_completion_time", "status_url")
	id := uuid.MustParse(accepted["request_id"].(string))
	if accepted["status_url"] != "/api/v1/requests/"+id.String() {
		t.Errorf("status_url is %v", accepted["status_url"])
	}

	look := func(want string) map[string]any {
		t.Helper()
		status, body := r.read(http.MethodGet, accepted["status_url"].(string), "")
		if status != http.StatusOK || body["status"] != want {
			t.Fatalf("it is %v, want %s", body["status"], want)
		}
		wantMembers(t, "a status", body, "request_id", "status", "created_at", "updated_at", "estimated_completion", "resource", "steps", "outputs", "error", "logs_url")
		if (want == "completed") != (body["outputs"] != nil) || body["error"] != nil {
			t.Errorf("%s has outputs %v and error %v", want, body["outputs"], body["error"])
		}
		for _, at := range []string{"created_at", "updated_at"} {
			if moment, err := time.Parse(time.RFC3339, body[at].(string)); err != nil || !strings.HasSuffix(body[at].(string), "Z") {
				t.Errorf("%s is %v (%v), want a time in UTC", at, body[at], moment)
			}
		}
		return body
	}
	steps := func(body map[string]any) string {
		t.Helper()
		var said []string
		for i, item := range body["steps"].([]any) {
			step := item.(map[string]any)
			if step["step"] != float64(i+1) {
				t.Errorf("step %d is called %v", i+1, step["step"])
			}
			_, timed := step["duration_seconds"]
			if timed != (step["status"] != "pending") {
				t.Errorf("step %v has a duration: %v", step, timed)
			}
			said = append(said, fmt.Sprintf("%v: %v", step["name"], step["status"]))
		}
		return strings.Join(said, ", ")
	}

	body := look("pending")
	wantMembers(t, "a resource", body["resource"].(map[string]any), "type", "name", "environment")
	if resource := body["resource"].(map[string]any); resource["type"] != "postgres-database" || resource["name"] != "my-service-db" || resource["environment"] != "dev" {
		t.Errorf("resource is %v", resource)
	}
	run := r.dispatch(id)
	claim, err := r.worker(poolToken).Claim(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	look("validating")
	var planned []provision.Change
	for _, address := range []string{"postgres_role.owner", "postgres_database.main", "terraform_data.requested", "postgres_role.monitor", "terraform_data.credentials"} {
		kind, _, _ := strings.Cut(address, ".")
		planned = append(planned, provision.Change{Address: address, Type: kind, Action: "create"})
	}
	if err := r.worker(poolToken).Plan(t.Context(), run, claim.Token, planned); err != nil {
		t.Fatal(err)
	}
	done := func(addresses ...string) {
		for _, address := range addresses {
			r.report(run, provision.Report{Kind: provision.ReportAddress, Address: address, Status: "completed"})
		}
	}
	r.report(run, provision.Report{Kind: provision.ReportAddress, Address: "postgres_role.owner", Status: "started", Details: "Waiting for RDS instance to be available..."})
	body = look("creating_resources")
	if got, want := steps(body), "Validate request: completed, Generate configuration: completed, Create database instance: in_progress, Configure monitoring: pending, Store credentials: pending"; got != want {
		t.Errorf("steps are %s, want %s", got, want)
	}
	third := body["steps"].([]any)[2].(map[string]any)
	wantMembers(t, "a step under way", third, "step", "name", "status", "duration_seconds", "details")
	if third["details"] != "Waiting for RDS instance to be available..." {
		t.Errorf("details are %v", third["details"])
	}
	wantMembers(t, "a step that waits", body["steps"].([]any)[4].(map[string]any), "step", "name", "status")
	done("postgres_role.owner", "postgres_database.main", "terraform_data.requested")
	look("configuring")
	done("postgres_role.monitor", "terraform_data.credentials")
	outputs := map[string]any{
		"endpoint": "db.internal", "port": 5432, "credentials_secret_arn": "roadbed:credentials/" + id.String(),
		"monitoring_dashboard": "https://grafana.example/d/my-service-db",
	}
	r.report(run, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true, Outputs: outputs}})
	body = look("completed")
	wantMembers(t, "outputs", body["outputs"].(map[string]any), "endpoint", "port", "credentials_secret_arn", "monitoring_dashboard")
	if got := steps(body); strings.Count(got, "completed") != 5 {
		t.Errorf("steps are %s, want five completed", got)
	}
	if _, log := r.read(http.MethodGet, body["logs_url"].(string), ""); log["items"] == nil {
		t.Errorf("the log is %v", log)
	}
}

func TestADatabaseThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request, claim := r.applying("orders")
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{
		Result: provision.ResultFailed, Applied: true, Detail: "sg-12345 already exists with conflicting rules",
	}})
	_, body := r.read(http.MethodGet, "/api/v1/requests/"+request.Id.String(), "")
	why := strings.Split(fmt.Sprint(body["error"]), "\n")
	if body["status"] != "failed" || body["outputs"] != nil || why[0] != "failed at step 3 of 5: Create database instance" ||
		why[1] != "Error: sg-12345 already exists with conflicting rules" || !strings.HasPrefix(why[len(why)-1], "Solution: ") {
		t.Errorf("it failed as %v", body)
	}
}

func TestScriptsReadARefusalFromDetail(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if status, body := r.createDatabase(nil); status != http.StatusAccepted {
		t.Fatalf("answered %d %v", status, body)
	}
	status, body := r.createDatabase(nil)
	if status != http.StatusConflict || body["detail"] != "Database 'my-service-db' already exists in dev" {
		t.Errorf("a taken name: %d %v", status, body["detail"])
	}
	status, body = r.createDatabase(map[string]any{"database_name": "other", "multi_az": true})
	if detail := fmt.Sprint(body["detail"]); status != http.StatusForbidden ||
		!strings.HasPrefix(detail, "Policy violation: Estimated cost $171.00/month exceeds limit $100/month for dev. Please request approval from #platform-team.") {
		t.Errorf("a denial: %d %v", status, detail)
	}
	status, body = r.read(http.MethodGet, "/api/v1/requests/00000000-0000-4000-8000-000000000000", "")
	if status != http.StatusNotFound || body["detail"] != "Request not found" {
		t.Errorf("an unknown request: %d %v", status, body)
	}
	if got := r.raw(http.MethodGet, httpapi.Base+"/requests/00000000-0000-4000-8000-000000000000", r.jsonBy(ann), ""); strings.Contains(got.body, `"detail":`) {
		t.Errorf("elsewhere there is a detail, too: %s", got.body)
	}
}

func TestTheNameIsWonOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	statuses := make([]int, 8)
	var askers sync.WaitGroup
	for i := range statuses {
		header := r.jsonBy(ann)
		askers.Go(func() {
			statuses[i] = r.raw(http.MethodPost, "/api/v1/databases", header, form).status
		})
	}
	askers.Wait()
	slices.Sort(statuses)
	if statuses[0] != http.StatusAccepted || statuses[1] != http.StatusConflict || statuses[7] != http.StatusConflict {
		t.Errorf("asked at once they were answered %v", statuses)
	}
}

// TestWhatTheExamplesOfThePolicyDecide holds the example rules of a policy, and
// the corrections that they needed, against what the paths answer.
func TestWhatTheExamplesOfThePolicyDecide(t *testing.T) {
	t.Parallel()
	type parameters = map[string]any
	cases := map[string]struct {
		ask    parameters
		status int
		says   []string // in the refusal, or among the warnings
		silent []string
	}{
		"only what is required, with the defaults": {parameters{}, 202, nil, []string{"high for"}},
		"exactly the limit, to the cent":           {parameters{"instance_class": "db.t3.small", "storage_gb": 400, "backup_retention_days": 3}, 202, nil, nil},
		"half a cent over it":                      {parameters{"instance_class": "db.t3.small", "storage_gb": 359, "backup_retention_days": 4}, 403, []string{"exceeds limit $100/month for dev"}, nil},
		"staging between 200 and 500":              {parameters{"environment": "staging", "instance_class": "db.r6g.xlarge"}, 202, []string{"Estimated cost $275.50/month is high for staging. Consider using a smaller instance."}, nil},
		"staging at exactly 200":                   {parameters{"environment": "staging", "instance_class": "db.t3.small", "storage_gb": 400, "backup_retention_days": 3, "multi_az": true}, 202, nil, []string{"is high for"}},
		"prod with short backups":                  {parameters{"environment": "prod", "backup_retention_days": 6, "multi_az": true}, 403, []string{"Policy violation: ", "at least 7 days backup retention"}, nil},
		"prod in one zone":                         {parameters{"environment": "prod"}, 202, []string{"high availability"}, nil},
		"all denials at once":                      {parameters{"environment": "prod", "backup_retention_days": 1, "cost_center": ""}, 403, []string{"at least 7 days backup retention", "cost_center is required for billing"}, nil},
		"nobody owns it":                           {parameters{"team_owner": ""}, 403, []string{"team_owner is required for cost allocation"}, nil},
		"the environment in the name":              {parameters{"database_name": "orders-dev"}, 202, []string{"contains environment 'dev'. Environment is already tagged separately."}, nil},
		"a part of a word in the name":             {parameters{"database_name": "device-db"}, 202, nil, []string{"already tagged"}},
		"more storage than has approval":           {parameters{"environment": "prod", "storage_gb": 900, "multi_az": true}, 202, []string{"Databases over 800 GB require approval in prod", "#platform-team"}, nil},
		"more storage than there is":               {parameters{"storage_gb": 1001}, 400, []string{"1000"}, nil},
		"less storage than there is":               {parameters{"storage_gb": 19}, 400, []string{"20"}, nil},
		"backups for longer than there is":         {parameters{"backup_retention_days": 36}, 400, []string{"35"}, nil},
		"a class without a price":                  {parameters{"instance_class": "db.r6g.2xlarge"}, 400, []string{"db.r6g.2xlarge"}, nil},
		"an environment that is none":              {parameters{"environment": "qa"}, 400, []string{"qa"}, nil},
		"a name in capitals":                       {parameters{"database_name": "Orders"}, 400, []string{"/database_name"}, nil},
		"a name of two letters":                    {parameters{"database_name": "db"}, 400, []string{"/database_name"}, nil},
		"Terraform in the owner":                   {parameters{"team_owner": "x\"}\n resource \"null_resource\" \"y\" {"}, 400, []string{"write it on one line"}, nil},
		"Terraform in the owner, flat":             {parameters{"team_owner": "x\" } resource {"}, 400, []string{"not the name of a group"}, nil},
		"Terraform in the cost centre":             {parameters{"cost_center": "${file(\"/etc/passwd\")}"}, 202, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := withProduction(t)
			status, body := r.createDatabase(c.ask)
			if status != c.status {
				t.Fatalf("answered %d %v, want %d", status, body, c.status)
			}
			said := fmt.Sprint(body["detail"], body["error"])
			if status == http.StatusAccepted {
				request, err := r.as(ann).Request(t.Context(), uuid.MustParse(body["request_id"].(string)))
				if err != nil {
					t.Fatal(err)
				}
				said = fmt.Sprint(request.Findings)
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it says %s, want %q", said, want)
				}
			}
			for _, not := range c.silent {
				if strings.Contains(said, not) {
					t.Errorf("it says %s, and not %q", said, not)
				}
			}
		})
	}
}

func TestEveryDoorNamesTheSamePrice(t *testing.T) {
	t.Parallel()
	r := withProduction(t)
	for name, c := range map[string]struct {
		ask   string
		price float64
	}{
		"the form as it opens":     {`"instance_class":"db.t3.medium","storage_gb":100`, 85.5},
		"with a standby":           {`"multi_az":true`, 171},
		"the least":                {`"instance_class":"db.t3.small","storage_gb":20,"backup_retention_days":1`, 32.7 + 0},
		"the most":                 {`"instance_class":"db.r6g.xlarge","storage_gb":1000,"backup_retention_days":35,"multi_az":true`, 2130},
		"backups count in it":      {`"backup_retention_days":30`, 131.5},
		"half a cent in the price": {`"instance_class":"db.t3.small","storage_gb":359,"backup_retention_days":4`, 100.005},
	} {
		t.Run(name, func(t *testing.T) {
			ask := `{"database_name":"price","environment":"prod","team_owner":"payments","cost_center":"CC-1234",` + c.ask + `}`
			_, estimate := r.read(http.MethodPost, "/api/v1/catalog/postgres-database/estimate", ask)
			if estimate["monthly_cost"] != c.price {
				t.Errorf("the form says %v, want %v", estimate["monthly_cost"], c.price)
			}
			_, verdict := r.read(http.MethodPost, httpapi.Base+"/offerings/postgres-database/evaluate", `{"parameters":`+ask+`}`)
			if of := verdict["estimate"].(map[string]any); of["monthly_cost"] != c.price {
				t.Errorf("the verdict says %v, want %v", of["monthly_cost"], c.price)
			}
			forecast := 0.0
			for _, item := range estimate["breakdown"].(map[string]any) {
				forecast += item.(float64)
			}
			if difference := forecast - c.price; difference > 0.011 || difference < -0.011 { // each item is rounded once
				t.Errorf("the breakdown sums to %v, want %v", forecast, c.price)
			}
			if annual := estimate["annual_total"].(float64) - 12*c.price; annual > 0.005 || annual < -0.005 {
				t.Errorf("a year is %v, want twelve of %v", estimate["annual_total"], c.price)
			}
		})
	}
}

func TestTheTimeIsSaidAsARangeOfMinutes(t *testing.T) {
	t.Parallel()
	for want, c := range map[string][2]time.Duration{
		"5-10 minutes":       {5*time.Minute + 20*time.Second, 9*time.Minute + 1*time.Second},
		"1-2 minutes":        {20 * time.Second, 70 * time.Second},
		"3 minutes":          {3 * time.Minute, 3 * time.Minute},
		"less than a minute": {2 * time.Second, 59 * time.Second},
	} {
		if got := httpapi.Minutes(&c[0], &c[1]); got == nil || *got != want {
			t.Errorf("half in %s and nine in ten in %s is %v, want %s", c[0], c[1], got, want)
		}
	}
	if got := httpapi.Minutes(nil, nil); got != nil {
		t.Errorf("without history it is %s, want nothing", *got)
	}
}
