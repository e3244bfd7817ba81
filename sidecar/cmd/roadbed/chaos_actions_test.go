package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// actions are the ways along the road: an approval is a create that waits for
// one, a revert puts right what was changed behind Terraform's back, and at an
// expiry system:expiry asks for the end.
var actions = []string{"create", "update", "rotate", "destroy", "upgrade", "revert", "import", "approval", "expiry"}

// makes reports whether an action begins with no instance and makes one.
func makes(action string) bool {
	return slices.Contains([]string{"create", "import", "approval"}, action)
}

// publish writes the one offering that is asked for into dir, as its version 9.0.n:
// each lets the monitor connect once more than the one before.
func publish(t testing.TB, dir string, n int) {
	t.Helper()
	shipped, err := fs.Sub(templates.FS, "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "postgres-database")
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, shipped)); err != nil {
		t.Fatal(err)
	}
	for file, line := range map[string]struct{ old, new string }{
		"offering.yaml":        {`(?m)^version: .*$`, fmt.Sprintf("version: 9.0.%d", n)},
		"module/local/main.tf": {`connection_limit = 5\b`, fmt.Sprintf("connection_limit = %d", 5+n)},
	} {
		text, err := os.ReadFile(filepath.Join(to, file))
		if err != nil {
			t.Fatal(err)
		}
		old := regexp.MustCompile(line.old)
		if !old.Match(text) {
			t.Fatalf("%s says nowhere %s", file, line.old)
		}
		writeFile(t, filepath.Join(to, file), old.ReplaceAllString(string(text), line.new))
	}
}

// prepare brings about, in peace, what an action begins from.
func (c *chaos) prepare(action string) {
	c.t.Helper()
	if c.ready != nil && (makes(action) || action == "expiry" && c.ready.Action != provision.Create) {
		c.ask("destroy", nil)
	}
	if c.ready == nil && !makes(action) {
		c.ask("create", nil)
	}
	c.weather("everything runs", func() bool {
		return !slices.ContainsFunc(append([]*process{c.sidecar}, c.workers...), (*process).died)
	})
	c.untilReady()
	c.submission = c.road.submission("dev")
	switch action {
	case "upgrade":
		c.sidecar.stop()
		c.version++
		publish(c.t, c.path("offerings"), c.version)
		c.sidecar.start()
		c.untilReady()
	case "revert":
		c.alter("ALTER DATABASE %s CONNECTION LIMIT 7", c.database())
		drift := c.checked(*c.ready.InstanceId)
		if !drift.HasDrift {
			c.t.Fatalf("a change behind Terraform's back is %+v", drift)
		}
		c.cause = *drift.Cause
	case "import":
		c.onTarget("CREATE ROLE " + c.byHand() + "_app LOGIN PASSWORD 'theirs'")
		c.onTarget("CREATE DATABASE " + c.byHand() + " OWNER " + c.byHand() + "_app")
		c.alterIn(c.byHand(), "CREATE TABLE kept AS SELECT 7 AS n -- %s", c.byHand())
	case "approval":
		c.submission = c.dear()
	}
}

// byHand is the database that is there before it is imported.
func (c *chaos) byHand() string {
	return strings.ReplaceAll(c.submission.Parameters["database_name"].(string), "-", "_") + "_legacy"
}

// database is what the instance that is ready has.
func (c *chaos) database() string {
	c.t.Helper()
	if c.imported != "" {
		return c.imported
	}
	return c.databaseOf(*c.ready.InstanceId)
}

// submitted asks as a caller who asks until it is answered. Approvals that arm
// late do so while the plan waits.
func (c *chaos) submitted(action string, s *schedule) api.Request {
	owner, key, ctx := c.patient(ann), uuid.NewString(), c.t.Context()
	var request api.Request
	var err error
	switch action {
	case "create":
		c.submission.ExpiresIn = "24h"
		request, err = owner.Submit(ctx, key, c.submission)
	case "update":
		c.size++
		request, err = owner.Update(ctx, key, *c.ready.InstanceId, provision.Parameters{"storage_gb": 100 + c.size})
	case "rotate":
		request, err = owner.Rotate(ctx, key, *c.ready.InstanceId)
	case "upgrade":
		request, err = owner.Upgrade(ctx, key, *c.ready.InstanceId, nil)
	case "revert":
		request, err = owner.RevertDrift(ctx, key, *c.ready.InstanceId, c.cause)
	case "import":
		request, err = c.takenOver(ctx, key)
	case "approval":
		if request, err = owner.Submit(ctx, key, c.submission); err == nil {
			err = c.approved(ctx, request.Id, s)
		}
	case "expiry":
		request, err = c.expired(ctx)
	default:
		request, err = owner.Destroy(ctx, key, *c.ready.InstanceId)
	}
	if err != nil {
		c.t.Errorf("%s: %v", action, err)
		request.Id = uuid.Nil
	}
	return request
}

// takenOver asks for the import of what was made by hand.
func (c *chaos) takenOver(ctx context.Context, key string) (api.Request, error) {
	owner, item := c.patient(ann), api.ImportItem{Offering: c.submission.Offering, Parameters: c.submission.Parameters, Resources: []provision.Imported{
		{Address: "postgres_database.main", ID: c.byHand()}, {Address: "postgres_role.owner", ID: c.byHand() + "_app"},
	}}
	var request *api.Request
	err := again(ctx, func() error {
		items, err := owner.Import(ctx, key, api.ImportAsk{Items: []api.ImportItem{item}})
		if err != nil {
			return err
		}
		if request = items[0].Request; request == nil {
			return fmt.Errorf("not accepted: %s", items[0].Error)
		}
		return nil
	})
	if err != nil {
		return api.Request{}, err
	}
	return *request, nil
}

// approved approves a request as soon as it waits for that; it may end before.
func (c *chaos) approved(ctx context.Context, id uuid.UUID, s *schedule) error {
	var state provision.State
	if err := again(ctx, func() error {
		if state = c.state(id); state != provision.AwaitingApproval && !state.Terminal() {
			return fmt.Errorf("it is %s and waits for no approval", state)
		}
		return nil
	}); err != nil || state.Terminal() {
		return err
	}
	if s != nil && s.late {
		c.arm(s.armed)
	}
	approver := c.patient(pat)
	return again(ctx, func() error {
		_, err := approver.Approve(ctx, id, "for the sale")
		return err
	})
}

// expired lets the instance's time pass, and is the destroy that comes of it.
func (c *chaos) expired(ctx context.Context) (request api.Request, err error) {
	id := *c.ready.InstanceId
	c.later(id, 25*time.Hour)
	err = again(ctx, func() error {
		return c.pool.QueryRow(ctx, "SELECT id FROM requests WHERE instance_id = $1 AND action = 'destroy' AND requested_by = $2 ORDER BY id LIMIT 1", id, provision.ExpirySubject).Scan(&request.Id)
	})
	return request, err
}

// again does what may be repeated until it succeeds or the deadline is over.
func again(ctx context.Context, do func() error) error {
	end, tick := time.Now().Add(deadline), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// wantDone holds what exists to what was asked for.
func (c *chaos) wantDone(action string, request *api.Request) {
	c.t.Helper()
	switch {
	case makes(action):
		c.ready = request
	case action == "destroy" || action == "expiry":
		c.wantMade(c.ready.Parameters["database_name"], 0, 0)
		c.ready, c.imported = nil, ""
		return
	}
	c.wantMade(c.ready.Parameters["database_name"], 1, 2)
	switch action {
	case "upgrade":
		want := fmt.Sprintf("9.0.%d", c.version)
		got, err := c.patient(ann).Instance(c.t.Context(), *c.ready.InstanceId)
		if err != nil || got.Instance.OfferingVersion != want {
			c.t.Errorf("upgraded it is of %s (%v), want %s", got.Instance.OfferingVersion, err, want)
		}
		monitor := strings.ReplaceAll(got.Instance.Name, "-", "_") + "_" + got.Instance.ShortId + "_monitor"
		if !c.existsOnTarget(fmt.Sprintf("SELECT count(*) FROM pg_roles WHERE rolname = $1 AND rolconnlimit = %d", c.version+5), monitor) {
			c.t.Errorf("what %s changes was not made", want)
		}
	case "revert":
		if got := c.limitOf(c.database()); got != 50 {
			c.t.Errorf("after the revert the connection limit is %d, want what was asked for", got)
		}
	case "import":
		c.imported = c.byHand()
		if got := c.rowsOf(c.imported); got != 7 {
			c.t.Errorf("imported, the database holds %d, want the 7 that was there", got)
		}
	case "approval":
		c.ask("destroy", nil) // no other action is held to the limits that it is above
	}
}
