package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const usualStory = "request.submitted request.queued request.planning run.started request.planned request.applying request.succeeded"

// TestRoad goes the whole road once and looks at everything along it.
func TestRoad(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	r.warm()
	submission := r.submission("dev")
	name := submission.Parameters["database_name"]

	began := time.Now()
	scaffolder := r.with(r.portal.plugin(t, "scaffolder", ann))
	request, err := scaffolder.Submit(t.Context(), "task-1/request", submission)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	accepted := time.Now()
	if request.RequestedBy != ann || request.Actor != "plugin:scaffolder" || request.Status != "pending" {
		t.Errorf("accepted: by %s through %q, %s", request.RequestedBy, request.Actor, request.Status)
	}
	owner := r.as(ann)
	var seen []api.Event
	err = owner.Follow(t.Context(), request.Id, 0, func(e api.Event) error {
		seen = append(seen, e)
		return nil
	})
	if err != nil {
		t.Fatalf("follow: %v", err)
	}
	succeeded := time.Now()
	credentials, err := owner.Credentials(t.Context(), *request.InstanceId)
	if err != nil {
		t.Fatalf("open credentials: %v", err)
	}
	works(t, credentials, "username", "password")
	usable := time.Now()
	r.tellTimes(request.Id, began, accepted, succeeded, usable)

	for i, e := range seen {
		if e.Sequence != int64(i+1) {
			t.Errorf("event %d of the stream is numbered %d", i+1, e.Sequence)
		}
	}
	done, err := owner.Request(t.Context(), request.Id)
	if err != nil {
		t.Fatal(err)
	}
	if done.State != provision.Succeeded || done.Status != "completed" || done.Sequence != int64(len(seen)) || done.Outputs["credentials_secret_arn"] == nil {
		t.Errorf("at its end the request is %s (%s) after %d events, %d were streamed; outputs %v", done.State, done.Status, done.Sequence, len(seen), done.Outputs)
	}
	if len(done.Steps) != 5 || slices.ContainsFunc(done.Steps, func(s api.Step) bool { return s.Status != provision.StepCompleted }) {
		t.Errorf("steps at the end: %+v", done.Steps)
	}
	if got := r.story(request.Id); got != usualStory {
		t.Errorf("its story is %s", got)
	}
	if n := r.number("SELECT count(*) FROM events WHERE subject_id = $1 AND entity = 'credentials' AND verb = 'opened' AND data->>'opened_by' = $2", *request.InstanceId, ann); n != 1 {
		t.Errorf("one opening of credentials is %d events", n)
	}
	works(t, credentials, "monitor_username", "monitor_password")
	r.wantMade(name, 1, 2)
	r.wantApplies(1)

	t.Run("another team sees and does nothing", func(t *testing.T) {
		r.wantDenied(t, r.as(ben), request.Id, *request.InstanceId)
	})
	t.Run("the platform team sees and opens nothing", func(t *testing.T) {
		if _, err := r.as(pat).Request(t.Context(), request.Id); err != nil {
			t.Errorf("read the request: %v", err)
		}
		if _, err := r.as(pat).Credentials(t.Context(), *request.InstanceId); provision.KindOf(err) != provision.Denied {
			t.Errorf("open the credentials: %v, want a denial", err)
		}
	})
	t.Run("the catalog has it", func(t *testing.T) { r.wantEntity(t, done.EntityRef, done.Owner) })

	destroy, err := owner.Destroy(t.Context(), uuid.NewString(), *request.InstanceId)
	if err != nil {
		t.Fatalf("destroy: %v", err)
	}
	r.untilState(destroy.Id, provision.Succeeded)
	r.wantMade(name, 0, 0)
	if _, err := owner.Credentials(t.Context(), *request.InstanceId); provision.KindOf(err) != provision.Conflict {
		t.Errorf("open the credentials of what is gone: %v, want a conflict", err)
	}
	again, err := owner.Submit(t.Context(), uuid.NewString(), submission)
	if err != nil {
		t.Fatalf("the name is not free again: %v", err)
	}
	r.untilState(again.Id, provision.Succeeded)
	r.wantMade(name, 1, 2)
	r.audit()
	r.wantPublished()
	r.wantLogs(request.Id.String())
}

// warm has the worker initialise the offering's module, which it does once.
func (r *road) warm() {
	r.t.Helper()
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	r.remove("ledger")
}

// works connects with credentials and makes use of the database.
func works(t *testing.T, credentials map[string]any, username, password string) {
	t.Helper()
	dsn := fmt.Sprintf("postgres://%s:%s@%s:%v/%s?sslmode=disable", credentials[username], credentials[password], credentials["host"], credentials["port"], credentials["database"])
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("connect as %v: %v", credentials[username], err)
	}
	defer conn.Close(context.Background())
	if username == "username" {
		_, err = conn.Exec(t.Context(), "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
	} else {
		_, err = conn.Exec(t.Context(), "SELECT id FROM orders")
	}
	if err != nil {
		t.Errorf("use the database as %v: %v", credentials[username], err)
	}
}

// tellTimes prints how long a person waited, and how much of it for Terraform.
func (r *road) tellTimes(id uuid.UUID, began, accepted, succeeded, usable time.Time) {
	r.t.Helper()
	var run uuid.UUID
	if err := r.pool.QueryRow(r.t.Context(), "SELECT id FROM runs WHERE request_id = $1", id).Scan(&run); err != nil {
		r.t.Fatal(err)
	}
	at := map[string]time.Time{}
	for _, report := range r.reports() {
		if report.RunID == run && report.Kind == provision.ReportPhase {
			at[report.Phase+" "+report.Status] = report.At
		}
	}
	initialise, plan, apply := at["init completed"].Sub(at["init started"]), at["plan completed"].Sub(at["plan started"]), at["apply completed"].Sub(at["apply started"])
	whole := usable.Sub(began)
	r.t.Logf("from submit to usable credentials %s: of it Terraform %s (plan %s, apply %s), preparing its directory %s, all else %s",
		ms(whole), ms(plan+apply), ms(plan), ms(apply), ms(initialise), ms(whole-plan-apply-initialise))
	r.t.Logf("accepted after %s, on the worker after %s, from the outcome to the last event %s, credentials opened and used in %s",
		ms(accepted.Sub(began)), ms(at["init started"].Sub(began)), ms(succeeded.Sub(at["apply completed"])), ms(usable.Sub(succeeded)))
}

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

// wantDenied tries every door to a request and its instance.
func (r *road) wantDenied(t *testing.T, stranger *client.Client, request, instance uuid.UUID) {
	t.Helper()
	ctx := t.Context()
	doors := map[string]func() error{
		"read the request":     func() error { _, err := stranger.Request(ctx, request); return err },
		"read its events":      func() error { _, err := stranger.Events(ctx, request, 0); return err },
		"follow its events":    func() error { return stranger.Follow(ctx, request, 0, func(api.Event) error { return nil }) },
		"read its log":         func() error { _, err := stranger.Logs(ctx, request, 0); return err },
		"cancel it":            func() error { _, err := stranger.Cancel(ctx, request, "no"); return err },
		"read the instance":    func() error { _, err := stranger.Instance(ctx, instance); return err },
		"open the credentials": func() error { _, err := stranger.Credentials(ctx, instance); return err },
		"destroy the instance": func() error { _, err := stranger.Destroy(ctx, uuid.NewString(), instance); return err },
	}
	for door, open := range doors {
		if err := open(); provision.KindOf(err) != provision.Denied {
			t.Errorf("%s: %v, want a denial", door, err)
		}
	}
	list, err := stranger.Requests(ctx, api.ListRequestsParams{})
	if err != nil || slices.ContainsFunc(list.Items, func(r api.Request) bool { return r.Id == request }) {
		t.Errorf("a list shows the request, or fails: %v", err)
	}
}

// wantEntity finds an entity in the feed, which is the catalog plugin's alone.
func (r *road) wantEntity(t *testing.T, ref, owner string) {
	t.Helper()
	feed, err := r.with(r.portal.plugin(t, "catalog", "")).Entities(t.Context())
	if err != nil {
		t.Fatalf("read the feed: %v", err)
	}
	found := slices.ContainsFunc(feed.Entities, func(e api.Entity) bool {
		return ref == refOf(e) && e.Spec.Owner == owner &&
			e.Metadata.Annotations["roadbed.dev/phase"] == "ready"
	})
	if !found || !feed.Complete {
		t.Errorf("the feed of %d entities has no ready %s", len(feed.Entities), ref)
	}
	for _, token := range []string{r.portal.user(t, pat), r.portal.plugin(t, "scaffolder", ""), r.portal.plugin(t, "catalog", ann)} {
		if _, err := r.with(token).Entities(t.Context()); provision.KindOf(err) != provision.Denied {
			t.Errorf("someone else read the feed: %v", err)
		}
	}
}

// TestOnlyPeopleAsk is law 6: a plugin without a user asks for nothing.
func TestOnlyPeopleAsk(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	limited := r.portal.sign(t, "auth", "vnd.backstage.limited-user", map[string]any{"sub": ann})
	for who, tt := range map[string]struct {
		token string
		want  provision.Kind
	}{
		"a plugin on nobody's behalf": {r.portal.plugin(t, "scaffolder", ""), provision.Denied},
		"another team's member":       {r.portal.user(t, ben), provision.Denied},
		"a limited token by itself":   {limited, provision.Unauthenticated},
		"a worker of the pool":        {r.poolKey, provision.Unauthenticated},
		"nobody":                      {"", provision.Unauthenticated},
	} {
		c, err := client.New(r.base(), tt.token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Submit(t.Context(), uuid.NewString(), r.submission("staging")); provision.KindOf(err) != tt.want {
			t.Errorf("%s asked and got %v, want %s", who, err, tt.want)
		}
	}
	if n := r.number("SELECT count(*) FROM requests"); n != 0 {
		t.Errorf("%d requests were stored of those who may not ask", n)
	}
	t.Run("a person cannot pass for a worker", func(t *testing.T) {
		person, err := client.NewWorker(r.base(), r.portal.user(t, pat), "w1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := person.Claim(t.Context(), provision.NewID()); provision.KindOf(err) != provision.Unauthenticated {
			t.Errorf("claim: %v", err)
		}
	})
	t.Run("a key belongs to one body", func(t *testing.T) {
		first, key := r.submission("staging"), uuid.NewString()
		made, err := r.as(ann).Submit(t.Context(), key, first)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.as(ann).Submit(t.Context(), key, first)
		if err != nil || again.Id != made.Id {
			t.Errorf("asked again: %s %v, want %s", again.Id, err, made.Id)
		}
		if _, err := r.as(ann).Submit(t.Context(), key, r.submission("staging")); provision.KindOf(err) != provision.Conflict {
			t.Errorf("another body: %v, want a conflict", err)
		}
		if _, err := r.as(ann).Submit(t.Context(), uuid.NewString(), first); provision.KindOf(err) != provision.Conflict {
			t.Errorf("the name again: %v, want a conflict", err)
		}
		if _, err := r.as(ann).Cancel(t.Context(), made.Id, "done with it"); err != nil {
			t.Errorf("cancel: %v", err)
		}
		if again, err = r.as(ann).Submit(t.Context(), key, first); err != nil || again.Id != made.Id {
			t.Errorf("asked again after its end: %s %v, want %s", again.Id, err, made.Id)
		}
	})
	r.audit()
}

func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "60s"})
	r.startWorker("w1")
	owner := r.as(ann)

	applying := r.submit(r.submission("dev"))
	r.untilMaking(applying.Id)

	r.write("hold-w1", "")
	planning := r.submit(r.submission("dev"))
	r.until("another is being planned", func() bool { return r.exists("held-w1") })
	if _, err := owner.Cancel(t.Context(), planning.Id, "never mind"); err != nil {
		t.Errorf("cancel while planning: %v", err)
	}
	r.untilState(planning.Id, provision.Cancelled)
	r.remove("hold-w1")
	r.wantMade(planning.Parameters["database_name"], 0, 0)

	queued := r.submit(r.submission("staging"))
	r.until("it waits for a worker that never comes", func() bool {
		return r.number("SELECT count(*) FROM runs WHERE request_id = $1 AND state = 'dispatched'", queued.Id) == 1
	})
	cancelled, err := owner.Cancel(t.Context(), queued.Id, "asked for the wrong one")
	if err != nil || cancelled.State != provision.Cancelled || cancelled.Error.Message != "asked for the wrong one" {
		t.Errorf("cancel while queued: %s %+v %v", cancelled.State, cancelled.Error, err)
	}
	destroyed := r.submit(r.submission("staging"))
	if cancelled, err = owner.Destroy(t.Context(), uuid.NewString(), *destroyed.InstanceId); err != nil || cancelled.Id != destroyed.Id || cancelled.State != provision.Cancelled {
		t.Errorf("destroy while queued: %s %s %v, want its create cancelled", cancelled.Id, cancelled.State, err)
	}
	for _, gone := range []uuid.UUID{*planning.InstanceId, *queued.InstanceId, *destroyed.InstanceId} {
		if instance, err := owner.Instance(t.Context(), gone); err != nil || instance.Instance.State != provision.Released {
			t.Errorf("instance of a cancelled create: %s %v, want released", instance.Instance.State, err)
		}
	}

	name := applying.Parameters["database_name"]
	if _, err := owner.Cancel(t.Context(), applying.Id, "too expensive"); err != nil {
		t.Fatalf("cancel while applying: %v", err)
	}
	r.untilState(applying.Id, provision.Cancelled)
	ended, err := owner.Request(t.Context(), applying.Id)
	if err != nil || ended.Error.Message != "too expensive" || ended.CancelReason != "too expensive" {
		t.Errorf("cancelled while applying: %+v %v", ended.Error, err)
	}
	instance, err := owner.Instance(t.Context(), *applying.InstanceId)
	if err != nil || instance.Instance.State != provision.Incomplete {
		t.Errorf("its instance is %s %v, want incomplete", instance.Instance.State, err)
	}
	r.wantMade(name, 0, 1) // its owner role was finished before
	removal, err := owner.Destroy(t.Context(), uuid.NewString(), *applying.InstanceId)
	if err != nil {
		t.Fatalf("destroy what was left: %v", err)
	}
	r.untilState(removal.Id, provision.Succeeded)
	r.wantMade(name, 0, 0)
	r.audit()
	r.wantPublished()
}

// submitRaw is a submit whose whole answer matters.
func (r *road) submitRaw(t *testing.T, token, key, body string) (status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base()+"/requests", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	res.Body.Close()
	return res.StatusCode, res.Header
}
