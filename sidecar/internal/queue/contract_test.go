package queue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

// TestEveryEventIsDescribed drives records through many lives, each step
// of them chance, publishes what they tell and reads it back. The tap of
// prepared holds every message against asyncapi.yaml.
func TestEveryEventIsDescribed(t *testing.T) {
	t.Parallel()
	_, q := prepared(t)
	var told []provision.Event
	for seed := range uint64(120) {
		told = append(told, life(rand.New(rand.NewPCG(seed, 0)))...)
	}
	pause := provision.Pause{ID: provision.NewID(), Kind: provision.PausePool, Name: "local", Reason: "the disk is full", By: "user:default/pat"}
	told = append(told, pause.Begun(), pause.Ended("user:default/sam"))
	told = append(told, versions(t)...)
	told = append(told, rollout(t)...)
	for batch := range slices.Chunk(told, 250) {
		publish(t, q, batch...)
	}
	got := follow(t, q, queue.Follow{}).await(t, len(told))
	types := map[string]bool{}
	for i, e := range told {
		types[e.Type()] = true
		e.Data = asRead(t, e.Data)
		if diff := cmp.Diff(e, got[i].Event); diff != "" {
			t.Fatalf("event %d: want(-) got(+):\n%s", i, diff)
		}
	}
	described := describedEvents(t)
	if diff := cmp.Diff(described, slices.Sorted(maps.Keys(types))); diff != "" {
		t.Errorf("described(-) told(+):\n%s", diff)
	}
}

// versions is what the versions of an offering tell.
func versions(t *testing.T) []provision.Event {
	t.Helper()
	first := provision.Version{ID: provision.NewID(), Offering: "postgres-database", Version: "1.0.0", Digest: "sha256:1", State: provision.Published, By: provision.ServeSubject}
	later := provision.Version{ID: provision.NewID(), Offering: "postgres-database", Version: "2.0.0", Digest: "sha256:2", State: provision.Draft, By: provision.ServeSubject}
	told := []provision.Event{first.Known(), later.Known()}
	for _, move := range []struct {
		version *provision.Version
		next    provision.VersionState
	}{{&later, provision.Published}, {&first, provision.Deprecated}, {&first, provision.Withdrawn}} {
		event, err := move.version.Move(move.next, "user:default/pat", "2.0.0 encrypts", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, *event)
	}
	return told
}

// rollout is what a campaign tells.
func rollout(t *testing.T) []provision.Event {
	t.Helper()
	r := provision.NewCampaignRecord(provision.Campaign{
		ID: provision.NewID(), State: provision.CampaignOpen, Offering: "postgres-database", Version: "2.0.0", Digest: "sha256:2", By: "user:default/pat",
	}, time.Now())
	r.Created()
	err := errors.Join(
		r.Approve(provision.Shape{{Action: "update", Type: "a", Attributes: []string{"size"}}}, "update a (size)", provision.GroupApproval{By: "user:default/pat"}),
		r.OptOut("group:default/shop", provision.OptOut{Until: time.Now().Add(time.Hour), By: "user:default/ada", Reason: "sale"}),
		r.Start("user:default/pat"), r.Halt(provision.CampaignSubject, "1 upgrade failed: dev/orders"), r.Resume("user:default/pat", ""), r.Finish())
	ended := provision.NewCampaignRecord(provision.Campaign{ID: provision.NewID(), State: provision.CampaignOpen, Offering: "postgres-database", Version: "2.0.0"}, time.Now())
	if err := errors.Join(err, ended.Stop("user:default/pat", "enough")); err != nil {
		t.Fatal(err)
	}
	return append(r.Events(), ended.Events()...)
}

// asRead is data as it is after a journey, numbers as they were written.
func asRead(t *testing.T, data map[string]any) (read map[string]any) {
	t.Helper()
	written, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(written))
	decoder.UseNumber()
	if err := decoder.Decode(&read); err != nil {
		t.Fatal(err)
	}
	return read
}

// describedEvents are the types of events in asyncapi.yaml, sorted.
func describedEvents(t *testing.T) []string {
	t.Helper()
	var spec struct {
		Components struct {
			Messages map[string]struct{ Name string }
		}
	}
	if err := yaml.Unmarshal(api.AsyncAPI, &spec); err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, m := range spec.Components.Messages {
		if m.Name != "" {
			types = append(types, m.Name)
		}
	}
	slices.Sort(types)
	return types
}

// life is what a chance life of one instance tells: a create, then updates and
// destroys until it is gone.
func life(chance *rand.Rand) []provision.Event {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	price := provision.Money(85_500)
	verdict := func() provision.Verdict {
		switch chance.IntN(7) {
		case 0:
		case 1, 2:
			return provision.Verdict{Outcome: provision.OutcomeRequireApproval, At: now, Estimate: &provision.Estimate{MonthlyCost: price + provision.Money(chance.IntN(3))}, Findings: []provision.Finding{{
				Rule: "cost_limit", Level: provision.LevelRequireApproval, Message: "It is dear.", Approvers: []string{"group:default/platform"}, Count: 1,
			}}}
		default:
			dear := &provision.Estimate{MonthlyCost: price + provision.Money(chance.IntN(3))}
			return provision.Verdict{Outcome: provision.OutcomeAllow, At: now, Estimate: dear}
		}
		return provision.Verdict{Outcome: provision.OutcomeDeny, At: now, Findings: []provision.Finding{{
			Rule: "region", Level: provision.LevelDeny, Message: "us-east-9 is not allowed.", WayOut: "Choose eu-west-1.",
		}}}
	}
	instance := provision.Instance{
		ID: provision.NewID(), Offering: "postgres-database", Environment: "dev", Name: "orders", Owner: "group:default/shop", State: provision.Reserved, CredentialsVersion: 1, Lifetime: 720 * time.Hour,
	}
	steps := []provision.StepDefinition{{Name: "Check", Phase: "validate"}, {Name: "Plan", Phase: "plan"}, {Name: "Make", Addresses: []string{"a.b", "a.c"}}}
	var told []provision.Event
	for action := provision.Create; !instance.State.Gone() && len(told) < 500; action = pick(chance, provision.Update, provision.Rotate, provision.Extend, provision.Destroy) {
		told = append(told, drifts(chance, &instance, now)...)
		now = now.Add(time.Duration(chance.IntN(400)) * time.Hour)
		request := provision.Request{
			ID: provision.NewID(), Action: action, Offering: "postgres-database", OfferingVersion: "1.2.0", Environment: "dev", Name: "orders", Owner: "group:default/shop",
			RequestedBy: "user:default/ada", Verdict: verdict(), Lifetime: 720 * time.Hour,
		}
		if chance.IntN(2) > 0 {
			request.MonthlyCost = &price
		}
		if !request.Verdict.Acceptable() {
			told = append(told, provision.Refused(request, "", now).Events()...)
			continue
		}
		request.InstanceID, request.Generation = instance.ID, instance.Generation+1
		instance.Generation++
		r := provision.Accepted(request, instance, steps, now)
		reports := int64(0)
		for range 200 {
			if r.Request.State.Terminal() {
				break
			}
			now = now.Add(time.Second)
			told = append(told, r.Events()...)
			r = provision.NewRecord(r.Request, r.Instance, r.Run, now)
			move(chance, r, verdict, &reports)
		}
		// An error means that its end is not near.
		_ = errors.Join(r.Warn(), r.Expired(pick(chance, "", "dev is frozen")))
		r.OpenCredentials(provision.Principal{Subject: "user:default/ada"})
		told = append(told, r.Events()...)
		instance = *r.Instance
		if !r.Request.State.Terminal() {
			break
		}
	}
	return told
}

// drifts is what a check of an instance that is ready tells, by chance that it
// differs, and by chance that somebody wants to hear nothing of it.
func drifts(chance *rand.Rand, instance *provision.Instance, now time.Time) []provision.Event {
	r := provision.NewDriftRecord(*instance, provision.DriftCheck{}, false, provision.NewID(), now)
	if r.Claim("w1", "digest", time.Minute) != nil {
		return nil // it is not ready
	}
	found := []provision.Difference{{
		Address: "a.b", Type: "a", Kind: provision.DriftChanged, Attribute: "size", Expected: 1, Actual: chance.IntN(2), Cause: pick(chance, "one", "two"),
	}}
	r.Activity = idle(chance, now)
	count := float64(chance.IntN(2))
	r.Measure(&provision.ActivityRule{Counts: "connections", Days: 1}, &provision.Reading{Total: &count})
	r.Finish(found[:chance.IntN(2)], "", time.Hour)
	if chance.IntN(2) > 0 {
		// An error means that there is nothing to say.
		_ = r.AnswerUnused(provision.ActivityAnswer{Kind: pick(chance, "snooze", "needed"), Until: now.Add(time.Hour), By: "user:default/ada", Reason: pick(chance, "", "test")})
		_ = r.Suppress("", provision.Suppression{Until: now.Add(time.Hour), By: "user:default/ada", Reason: "test"})
	}
	told := r.Events()
	if *instance = r.Instance; chance.IntN(2) > 0 {
		told = append(told, provision.TellUnused([]provision.UnusedInstance{{Instance: *instance, Activity: provision.Activity{Reason: "no connections in 1 day"}}}, now))
		instance.Sequence++
	}
	return told
}

// idle is what is known of an instance that was told to be unused.
func idle(chance *rand.Rand, now time.Time) provision.Activity {
	zero, long := 0.0, now.Add(-48*time.Hour)
	a := provision.Activity{Since: long, MeasuredAt: long, Last: &provision.Reading{Total: &zero}}
	if chance.IntN(2) > 0 {
		a.ToldAt = long
	}
	return a
}

func pick[T any](chance *rand.Rand, from ...T) T { return from[chance.IntN(len(from))] }

// move tries one thing on a record; one that is refused changes nothing.
func move(chance *rand.Rand, r *provision.Record, verdict func() provision.Verdict, reports *int64) {
	if r.Request.State == provision.AwaitingApproval {
		_ = r.ExpireApproval()
		switch chance.IntN(16) {
		case 0:
			_ = r.Reject("user:default/pat", "too dear")
		case 1, 2:
			_ = r.Approve("user:default/pat", pick(chance, "", "for the sale"))
		}
	}
	if chance.IntN(4) == 0 {
		r.Stall(provision.Timing{Past: slices.Repeat([]provision.Took{{Steps: []time.Duration{time.Second, time.Second, time.Second}}}, 9)})
	}
	if chance.IntN(4) == 0 {
		until := r.Now().Add(time.Hour)
		r.Hold(pick(chance, nil, []provision.Hold{{Kind: provision.HoldFreeze, Name: "year end", Until: &until, Message: "waiting for the change freeze"}}))
	}
	if r.Request.State == provision.Lost && chance.IntN(2) == 0 {
		// One that comes too early is refused.
		switch chance.IntN(3) {
		case 0:
			_ = r.Attest("user:default/pat", "its machine is gone")
		case 1:
			_ = r.Recover("user:default/pat", "local", "its machine is gone")
		default:
			_ = r.Conclude("user:default/pat", pick(chance, provision.ResultSucceeded, provision.ResultFailed), "made by hand", nil)
		}
	}
	if chance.IntN(16) == 0 {
		_ = r.NoteByHand("user:default/pat", "a.b", pick(chance, "", "b-1"), "found by its tag")
	}
	switch chance.IntN(14) {
	case 0, 1:
		if r.Request.State == provision.Queued && (r.Run == nil || r.Run.State == provision.RunEnded) {
			_ = r.Dispatch("local", verdict())
			*reports = 0
		}
	case 2, 3:
		_ = r.Claim("worker-1", "digest", time.Duration(chance.IntN(3))*time.Second)
	case 4:
		_ = r.Renew(time.Second)
	case 5, 6:
		if r.Run != nil && r.Run.State == provision.RunClaimed {
			if wait, _ := r.Decide(provision.Planned{
				Verdict: verdict(), Changes: []provision.Change{{Address: pick(chance, "a.b", "a.c"), Type: "a", Action: pick(chance, "create", "delete")}},
				People: map[string][]string{"group:default/platform": {"user:default/pat"}},
			}); wait {
				_ = r.Wait("digest", time.Duration(2+chance.IntN(10))*time.Second)
			}
		}
	case 7:
		_ = r.Expire()
	case 8:
		if chance.IntN(4) == 0 {
			_ = r.Cancel("not needed any more")
		}
	case 9:
		_ = r.Release()
	case 10:
		if r.Request.State == provision.Queued && chance.IntN(10) == 0 {
			_ = r.GiveUp("no worker took it in an hour")
		}
	default:
		if r.Run == nil {
			return
		}
		*reports++
		report := provision.Report{
			RunID: r.Run.ID, Worker: "worker-1", Fence: r.Run.Fence, Sequence: *reports, Kind: provision.ReportAddress, At: r.Now(),
			Address: pick(chance, "a.b", "a.c"), Status: pick(chance, "started", "completed", "failed"), Details: pick(chance, "", "3 s"),
		}
		if chance.IntN(8) == 0 {
			report.Kind, report.Outcome = provision.ReportOutcome, &provision.RunOutcome{
				Result: pick(chance, provision.ResultSucceeded, provision.ResultFailed, provision.ResultCancelled), Message: pick(chance, "", "quota exceeded"),
			}
			if chance.IntN(2) > 0 {
				report.Outcome.Outputs = map[string]any{"host": "db.example", "port": 5432}
			}
		}
		_, _ = r.Take(report)
	}
}

// TestPrivateMessagesAreDescribed publishes every shape of job, report and line;
// the tap of prepared looks at them.
func TestPrivateMessagesAreDescribed(t *testing.T) {
	t.Parallel()
	_, q := prepared(t)
	p, run := pool(t, q), provision.NewID()
	if err := q.PublishJob(t.Context(), "local", job()); err != nil {
		t.Error(err)
	}
	shapes := []provision.Report{
		{Kind: provision.ReportPhase, Phase: "init", Status: "started"},
		{Kind: provision.ReportPhase, Phase: "plan", Status: "failed", Details: "no such region"},
		{Kind: provision.ReportPhase, Phase: "apply", Status: "completed"},
		{Kind: provision.ReportAddress, Address: `module.x.a["b"]`, Status: "started", Action: "create"},
		{Kind: provision.ReportAddress, Address: `module.x.a["b"]`, Status: "completed", Action: "create", ResourceID: "b-1"},
		{Kind: provision.ReportAddress, Address: "x.c", Status: "completed", Action: "create", SealedID: []byte("sealed")},
		{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true, Outputs: map[string]any{"port": 5432}}},
		{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultFailed, Message: "it failed", Detail: "quota"}},
		{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultCancelled}},
		{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultRefused}},
	}
	for i, r := range shapes {
		r.RunID, r.Worker, r.Fence, r.Sequence, r.At = run, "host-1.example", 1, int64(i+1), time.Now()
		if err := p.PublishReport(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1), {RunID: run, Fence: 1, Number: 2, At: time.Now()}}); err != nil {
		t.Error(err)
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	id, run := provision.NewID().String(), provision.NewID().String()
	plain := map[string]string{"content-type": "application/json", "Nats-Msg-Id": "1"}
	queued := map[string]string{
		"ce-specversion": "1.0", "ce-id": id, "ce-source": "/roadbed", "ce-type": "dev.roadbed.request.queued.v1", "ce-subject": run,
		"ce-time": "2026-11-24T12:00:00Z", "ce-datacontenttype": "application/json", "ce-sequence": "00000000000000000001",
		"content-type": "application/json", "Nats-Msg-Id": id,
	}
	with := func(header map[string]string, name, value string) map[string]string {
		changed := maps.Clone(header)
		changed[name] = value
		return changed
	}
	logLine := `{"run_id":"` + run + `","fence":1,"number":1,"at":"2026-11-24T12:00:00Z","text":""}`
	tests := map[string]struct {
		subject string
		header  map[string]string
		payload string
		want    string // "" when the message is as described
	}{
		"a line as described":           {"roadbed.log.v1.local.worker-1." + run, plain, logLine, ""},
		"an event as described":         {"roadbed.evt.v1.request.queued.dev." + run, queued, `{"state":"queued"}`, ""},
		"an unknown address":            {"roadbed.secret.v1.x", plain, `{}`, "no channel"},
		"an address that is too long":   {"roadbed.log.v1.local.worker-1." + run + ".x", plain, logLine, "no channel"},
		"what is not JSON":              {"roadbed.log.v1.local.worker-1." + run, plain, `{`, "not JSON"},
		"another run's line":            {"roadbed.log.v1.local.worker-1." + id, plain, logLine, "payload is of run"},
		"a missing header":              {"roadbed.log.v1.local.worker-1." + run, nil, logLine, "headers"},
		"an undescribed field":          {"roadbed.log.v1.local.worker-1." + run, plain, strings.Replace(logLine, `{`, `{"password":"x",`, 1), "payload"},
		"a report without its outcome":  {"roadbed.rpt.v1.p.w." + run, plain, `{"run_id":"` + run + `","worker":"w","fence":1,"sequence":1,"kind":"outcome","at":"2026-11-24T12:00:00Z"}`, "payload"},
		"an event that is unheard of":   {"roadbed.evt.v1.request.vanished.dev." + run, queued, `{}`, "no event of type"},
		"an event of another type":      {"roadbed.evt.v1.request.planning.dev." + run, queued, `{"state":"planning"}`, "headers"},
		"an event of another subject":   {"roadbed.evt.v1.request.queued.dev." + id, queued, `{"state":"queued"}`, "headers"},
		"an event without its own id":   {"roadbed.evt.v1.request.queued.dev." + run, with(queued, "Nats-Msg-Id", run), `{"state":"queued"}`, "headers"},
		"a sequence that sorts wrongly": {"roadbed.evt.v1.request.queued.dev." + run, with(queued, "ce-sequence", "1"), `{"state":"queued"}`, "headers"},
		"an undescribed piece of data":  {"roadbed.evt.v1.request.queued.dev." + run, queued, `{"state":"queued","token":"x"}`, "payload"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for key, value := range test.header {
				header[key] = []string{value}
			}
			err := queue.Validate(test.subject, header, []byte(test.payload))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Validate() = %v, want %q", err, test.want)
			}
		})
	}
}
