package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestWhatCanBeAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	offerings, err := c.Offerings(t.Context())
	if err != nil || len(offerings) < 2 || offerings[0].ID != "postgres-database" {
		t.Fatalf("offerings = %d, %v", len(offerings), err)
	}
	one, err := c.Offering(t.Context(), "postgres-database")
	if err != nil || one.Digest != offerings[0].Digest {
		t.Errorf("offering = %s, %v; want the one in the list", one.Digest, err)
	}
	_, err = c.Offering(t.Context(), "nothing/such")
	kindOf(t, err, provision.NotFound)
	environments, err := c.Environments(t.Context())
	if err != nil || len(environments) != 2 || environments[0].Name != "dev" {
		t.Errorf("environments = %+v, %v", environments, err)
	}
	for subject, want := range map[string]api.Me{
		ann:              {Subject: ann, Groups: []string{"group:default/payments", ann}},
		pat:              {Subject: pat, Groups: []string{"group:default/platform-team", pat}, PlatformTeam: true},
		"plugin:catalog": {Subject: "plugin:catalog", Groups: []string{}},
	} {
		got, err := r.as(subject).Me(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("me of %s: %v (-want +got):\n%s", subject, err, diff)
		}
	}
}

func TestPricesAndVerdicts(t *testing.T) {
	t.Parallel()
	c := newRig(t, nil).as(ann)
	estimate, err := c.Estimate(t.Context(), "postgres-database", provision.Parameters{"multi_az": true, "database_name": ""})
	if err != nil {
		t.Fatal(err)
	}
	if estimate.MonthlyCost != 171*provision.Dollar || estimate.AnnualTotal != 12*171*provision.Dollar {
		t.Errorf("the default with multi-AZ is %s a month and %s a year, want $171.00 and $2,052.00", estimate.MonthlyCost, estimate.AnnualTotal)
	}
	var sum provision.Money
	for _, cost := range estimate.Breakdown {
		sum += cost
	}
	if sum != estimate.MonthlyTotal {
		t.Errorf("the breakdown sums to %s, want %s", sum, estimate.MonthlyTotal)
	}
	_, err = c.Estimate(t.Context(), "postgres-database", provision.Parameters{"storage_gb": 5000})
	if shown := kindOf(t, err, provision.Invalid); len(shown.Details) != 1 || shown.Details[0].Path != "/storage_gb" {
		t.Errorf("details = %+v, want the one of storage_gb", shown.Details)
	}

	verdict, err := c.Evaluate(t.Context(), "postgres-database", database("orders").Parameters)
	if err != nil || !verdict.Allowed || verdict.Estimate.MonthlyCost != 85_500 {
		t.Errorf("verdict = %+v, %v; want allowed at $85.50", verdict, err)
	}
	large := database("orders").Parameters
	large["multi_az"] = true
	if verdict, err = c.Evaluate(t.Context(), "postgres-database", large); err != nil || verdict.Allowed || verdict.Findings[0].Rule != "cost_limit" {
		t.Errorf("verdict = %+v, %v; want a denial by cost_limit, answered 200", verdict, err)
	}
	_, err = c.Evaluate(t.Context(), "postgres-database", provision.Parameters{"database_name": "UPPER", "environment": "moon"})
	if shown := kindOf(t, err, provision.Invalid); len(shown.Details) != 4 { // name, environment, owner, cost centre
		t.Errorf("details = %+v, want every fault at once", shown.Details)
	}
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	sub := database("orders")
	sub.Source = &api.Source{Task: "task-1"}
	first, err := c.Submit(t.Context(), "one", sub)
	if err != nil {
		t.Fatal(err)
	}
	if first.State != provision.Queued || first.Status != api.Pending || first.EntityRef != "resource:dev/orders.postgres-database" ||
		*first.MonthlyCost != 85_500 || first.Task != "task-1" || first.Generation != 1 || len(first.Steps) == 0 {
		t.Errorf("request = %+v", first)
	}
	again, err := c.Submit(t.Context(), "one", sub)
	if err != nil || again.Id != first.Id {
		t.Errorf("the same key again = %s, %v; want %s", again.Id, err, first.Id)
	}
	_, err = c.Submit(t.Context(), "one", database("other"))
	kindOf(t, err, provision.Conflict)
	_, err = c.Submit(t.Context(), "two", database("orders"))
	if shown := kindOf(t, err, provision.Conflict); shown.RequestID == "" || !strings.Contains(shown.Message, "orders") {
		t.Errorf("a taken name = %+v, want its own request and the name", shown)
	}

	dear := database("dear")
	dear.Parameters["multi_az"], dear.Parameters["cost_center"] = true, ""
	_, err = c.Submit(t.Context(), "three", dear)
	denied := kindOf(t, err, provision.Denied)
	if len(denied.Findings) < 2 || denied.RequestID == "" {
		t.Fatalf("denial = %+v, want every finding and the request", denied)
	}
	_, err = c.Submit(t.Context(), "three", dear)
	if replayed := kindOf(t, err, provision.Denied); replayed.RequestID != denied.RequestID {
		t.Errorf("the denial again names request %s, want %s", replayed.RequestID, denied.RequestID)
	}
	stored, err := c.Request(t.Context(), uuid.MustParse(denied.RequestID))
	if err != nil || stored.State != provision.DeniedState || stored.Status != api.Failed || stored.InstanceId != nil || stored.Error == nil {
		t.Errorf("the stored denial = %+v, %v", stored, err)
	}
	theirs := database("theirs")
	theirs.Parameters["team_owner"] = "search"
	_, err = c.Submit(t.Context(), "four", theirs)
	kindOf(t, err, provision.Denied)
	_, err = r.as("plugin:scaffolder").Submit(t.Context(), "five", database("robot"))
	kindOf(t, err, provision.Denied)
}

func TestSubmitAnswersWhereTheRequestIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	got := r.raw(http.MethodPost, "/api/roadbed/requests", r.jsonBy(ann, "Idempotency-Key", "k"),
		`{"offering":"postgres-database","parameters":{"database_name":"orders","environment":"dev","team_owner":"payments","cost_center":"CC-1","storage_gb":1e2}}`)
	if got.status != http.StatusAccepted {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	if at := r.raw(http.MethodGet, got.header.Get("Location"), r.jsonBy(ann), ""); at.status != http.StatusOK {
		t.Errorf("Location %q answers %d", got.header.Get("Location"), at.status)
	}
}

func TestRequestsAreSeenByTheirTeam(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	orders := r.submit("orders")
	for i := range 4 {
		r.submit(fmt.Sprintf("more-%d", i))
	}
	_, err := r.as(bob).Request(t.Context(), orders.Id)
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).Instance(t.Context(), *orders.InstanceId)
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).Cancel(t.Context(), orders.Id, "mine now")
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).Events(t.Context(), orders.Id, 0)
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).Logs(t.Context(), orders.Id, 0)
	kindOf(t, err, provision.Denied)
	if list, err := r.as(bob).Requests(t.Context(), api.ListRequestsParams{}); err != nil || len(list.Items) != 0 {
		t.Errorf("bob sees %d requests, %v; want none", len(list.Items), err)
	}
	if list, err := r.as(pat).Requests(t.Context(), api.ListRequestsParams{}); err != nil || len(list.Items) != 5 {
		t.Errorf("the platform team sees %d requests, %v; want 5", len(list.Items), err)
	}

	limit, cursor, seen := 2, "", map[uuid.UUID]bool{}
	for range 4 {
		list, err := r.as(ann).Requests(t.Context(), api.ListRequestsParams{Limit: &limit, Cursor: &cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range list.Items {
			seen[request.Id] = true
		}
		if cursor = list.Next; cursor == "" {
			break
		}
	}
	if len(seen) != 5 || cursor != "" {
		t.Errorf("pages of two show %d requests and end with %q, want 5 and the end", len(seen), cursor)
	}
	mine, owner, offering, environment := true, "payments", "postgres-database", "dev"
	states := []provision.State{provision.Queued, provision.Failed}
	list, err := r.as(ann).Requests(t.Context(), api.ListRequestsParams{
		Mine: &mine, Owner: &owner, Offering: &offering, Environment: &environment, State: &states, Instance: orders.InstanceId,
	})
	if err != nil || len(list.Items) != 1 || list.Items[0].Id != orders.Id {
		t.Errorf("narrowed by everything = %d, %v; want orders", len(list.Items), err)
	}
}

func TestAnInstanceFromBirthToEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	request := r.ready("orders")
	got, err := c.Request(t.Context(), request.Id)
	if err != nil || got.State != provision.Succeeded || got.Status != api.Completed || got.Outputs["endpoint"] != "db.internal" {
		t.Errorf("request = %+v, %v", got, err)
	}
	instance, err := c.Instance(t.Context(), *request.InstanceId)
	if err != nil || instance.Instance.State != provision.Ready || len(instance.Requests) != 1 {
		t.Fatalf("instance = %+v, %v", instance, err)
	}
	list, err := c.Instances(t.Context(), api.ListInstancesParams{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("instances = %d, %v; want 1", len(list.Items), err)
	}

	credentials, err := c.Credentials(t.Context(), *request.InstanceId)
	if err != nil || credentials["password"] != secret {
		t.Errorf("credentials = %v, %v", credentials, err)
	}
	_, err = r.as(bob).Credentials(t.Context(), *request.InstanceId)
	kindOf(t, err, provision.Denied)
	_, err = r.as(pat).Credentials(t.Context(), *request.InstanceId)
	kindOf(t, err, provision.Denied)
	opened := r.raw(http.MethodPost, "/api/roadbed/instances/"+request.InstanceId.String()+"/credentials", r.jsonBy(ann), "{}")
	if opened.status != http.StatusOK || opened.header.Get("Cache-Control") != "no-store" {
		t.Errorf("credentials answered %d with Cache-Control %q", opened.status, opened.header.Get("Cache-Control"))
	}
	if strings.Contains(r.log.String(), secret) || strings.Contains(r.log.String(), poolToken) || strings.Contains(r.log.String(), r.token(ann)) {
		t.Error("the log holds a secret")
	}

	destroy, err := c.Destroy(t.Context(), "end", *request.InstanceId)
	if err != nil || destroy.Action != provision.Destroy || destroy.Generation != 2 {
		t.Fatalf("destroy = %+v, %v", destroy, err)
	}
	if again, err := c.Destroy(t.Context(), "end", *request.InstanceId); err != nil || again.Id != destroy.Id {
		t.Errorf("the same key again = %s, %v; want %s", again.Id, err, destroy.Id)
	}
	cancelled, err := c.Cancel(t.Context(), destroy.Id, "")
	if err != nil || cancelled.State != provision.Cancelled || cancelled.CancelReason != "cancelled by "+ann {
		t.Errorf("cancel = %+v, %v", cancelled, err)
	}
	_, err = c.Cancel(t.Context(), request.Id, "too late")
	kindOf(t, err, provision.Conflict)
}

func TestStatusWordsFollowTheSteps(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request := r.submit("orders")
	status := func() api.Status {
		t.Helper()
		got, err := r.as(ann).Request(t.Context(), request.Id)
		if err != nil {
			t.Fatal(err)
		}
		return got.Status
	}
	expect := func(want api.Status) {
		t.Helper()
		if got := status(); got != want {
			t.Errorf("status = %s, want %s", got, want)
		}
	}
	expect(api.Pending)
	worker := r.worker(poolToken)
	claim, err := worker.Claim(t.Context(), r.dispatch(request.Id))
	if err != nil {
		t.Fatal(err)
	}
	expect(api.Validating)
	if err := worker.Plan(t.Context(), claim.RunID, claim.Token, nil); err != nil {
		t.Fatal(err)
	}
	expect(api.CreatingResources)
	record, err := r.store.Change(t.Context(), request.Id, func(*provision.Record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range record.Request.Steps {
		if len(step.Addresses) == 0 {
			continue
		}
		for _, address := range step.Addresses {
			r.report(claim.RunID, provision.Report{Kind: provision.ReportAddress, Address: address, Status: "completed"})
		}
		break
	}
	expect(api.Configuring)
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultFailed, Applied: true, Message: "no disk"}})
	expect(api.Failed)
	got, _ := r.as(ann).Request(t.Context(), request.Id)
	if got.Error == nil || got.Error.Step == 0 || !strings.Contains(got.Error.Message, "failed at step") {
		t.Errorf("error = %+v, want the step that failed", got.Error)
	}
}

func TestEntityFeed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	catalog := r.as("plugin:catalog")
	r.ready("orders")
	snapshot, err := catalog.Entities(t.Context())
	if err != nil || len(snapshot.Entities) != 1 || !snapshot.Complete {
		t.Fatalf("entities = %+v, %v", snapshot, err)
	}
	entity := snapshot.Entities[0]
	if entity.Metadata.Namespace != "dev" || entity.Metadata.Name != "orders.postgres-database" || entity.Metadata.Title != "orders" ||
		entity.Spec.Owner != "group:default/payments" || entity.Metadata.Annotations["roadbed.dev/phase"] != "ready" ||
		!strings.HasPrefix(entity.Metadata.Annotations["backstage.io/managed-by-location"], "url:https://portal.example/api/roadbed/instances/") {
		t.Errorf("entity = %+v", entity)
	}
	if len(entity.Metadata.Links) != 2 || entity.Metadata.Links[1].Title != "Monitoring dashboard" {
		t.Errorf("links = %+v, want the request and the dashboard", entity.Metadata.Links)
	}

	var changes api.EntityChanges
	cursor := snapshot.Cursor
	next := func(want func(api.EntityChanges) bool) {
		t.Helper()
		for range 20 {
			if changes, err = catalog.EntityChanges(t.Context(), cursor, 2*time.Second); err != nil {
				t.Fatal(err)
			}
			cursor = changes.Cursor
			if want(changes) {
				return
			}
		}
		t.Fatalf("the change never came; the last was %+v", changes)
	}
	doomed := r.submit("doomed")
	next(func(c api.EntityChanges) bool { // what was there at the snapshot may come again
		return slices.ContainsFunc(c.Added, func(e api.Entity) bool { return e.Metadata.Title == "doomed" })
	})
	if _, err := r.as(ann).Cancel(t.Context(), doomed.Id, "never mind"); err != nil {
		t.Fatal(err)
	}
	next(func(c api.EntityChanges) bool {
		return slices.Contains(c.Removed, "resource:dev/doomed.postgres-database")
	})

	for _, subject := range []string{ann, pat, "plugin:scaffolder"} {
		_, err := r.as(subject).Entities(t.Context())
		kindOf(t, err, provision.Denied)
		_, err = r.as(subject).EntityChanges(t.Context(), snapshot.Cursor, 0)
		kindOf(t, err, provision.Denied)
	}
	_, err = catalog.EntityChanges(t.Context(), "from-another-database.7", 0)
	if got := provision.KindOf(err); got != provision.Gone && got != provision.Invalid {
		t.Errorf("an unusable cursor: %v, want Gone", err)
	}
}

func TestTheWorkerAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx, worker := t.Context(), r.worker(poolToken)
	request := r.submit("orders")
	run := r.dispatch(request.Id)

	_, err := r.worker(otherPoolToken).Claim(ctx, run)
	kindOf(t, err, provision.Conflict)
	_, err = r.worker(otherPoolToken).View(ctx, run)
	kindOf(t, err, provision.NotFound)
	_, err = r.worker("guess").Claim(ctx, run)
	kindOf(t, err, provision.Unauthenticated)
	_, err = worker.Claim(ctx, provision.NewID())
	kindOf(t, err, provision.NotFound)

	claim, err := worker.Claim(ctx, run)
	if err != nil || claim.Fence != 1 || claim.Token == "" || claim.Parameters.Text("database_name") != "orders" || len(claim.StateRecipients) == 0 {
		t.Fatalf("claim = %+v, %v", claim, err)
	}
	_, err = worker.Renew(ctx, run, "not-the-token")
	kindOf(t, err, provision.Conflict)
	_, err = worker.Renew(ctx, run, "")
	kindOf(t, err, provision.Unauthenticated)
	_, err = r.worker(otherPoolToken).Renew(ctx, run, claim.Token)
	kindOf(t, err, provision.NotFound)
	lease, err := worker.Renew(ctx, run, claim.Token)
	if err != nil || !lease.ExpiresAt.After(lease.Now) || lease.Cancel != "" {
		t.Errorf("lease = %+v, %v", lease, err)
	}
	_, err = worker.State(ctx, run, claim.Token)
	kindOf(t, err, provision.NotFound)
	bundle, err := worker.Bundle(ctx, claim.OfferingDigest)
	if err != nil || len(bundle) == 0 {
		t.Errorf("bundle of %d bytes, %v", len(bundle), err)
	}
	_, err = worker.Bundle(ctx, "sha256:"+strings.Repeat("0", 64))
	kindOf(t, err, provision.NotFound)
	_, err = worker.Bundle(ctx, "../../etc/passwd")
	kindOf(t, err, provision.Invalid)

	changes := []provision.Change{{Address: "postgres_database.this", Type: "postgres_database", Action: "create", After: map[string]any{"name": "orders"}}}
	if err := worker.Plan(ctx, run, claim.Token, changes); err != nil {
		t.Fatal(err)
	}
	head, err := worker.PushState(ctx, claim.Token, provision.StateVersion{RunID: run, Fence: claim.Fence, Serial: 4, Lineage: "l-1", Sealed: []byte("sealed")})
	if err != nil || !head {
		t.Errorf("push = %v, %v; want the head", head, err)
	}
	state, err := worker.State(ctx, run, claim.Token)
	if err != nil || string(state.Sealed) != "sealed" || state.Serial != 4 || state.Lineage != "l-1" {
		t.Errorf("state = %+v, %v", state, err)
	}
	_, err = r.worker(otherPoolToken).PushState(ctx, claim.Token, provision.StateVersion{RunID: run, Fence: claim.Fence, Serial: 5, Lineage: "l-1", Sealed: []byte("theirs")})
	kindOf(t, err, provision.NotFound)

	if _, err := r.as(ann).Cancel(ctx, request.Id, "stop it"); err != nil {
		t.Fatal(err)
	}
	if lease, err = worker.Renew(ctx, run, claim.Token); err != nil || lease.Cancel != "stop it" {
		t.Errorf("lease = %+v, %v; want the cancel", lease, err)
	}
	if err := worker.Release(ctx, run, claim.Token); provision.KindOf(err) != provision.Conflict {
		t.Errorf("release during apply: %v, want Conflict", err)
	}
	view, err := worker.View(ctx, run)
	if err != nil || view.RequestState != provision.Applying {
		t.Errorf("view = %+v, %v", view, err)
	}

	other := r.submit("other")
	run = r.dispatch(other.Id)
	if claim, err = worker.Claim(ctx, run); err != nil {
		t.Fatal(err)
	}
	if err := worker.Release(ctx, run, claim.Token); err != nil {
		t.Errorf("release before apply: %v", err)
	}
	if got, _ := r.as(ann).Request(ctx, other.Id); got.State != provision.Queued {
		t.Errorf("after release the request is %s, want queued", got.State)
	}
}
