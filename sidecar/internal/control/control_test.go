package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestRequestsTravelTheWholeRoad(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.follow()
	loops, _ := s.run(s.config)
	s.worker("local", 2) // says everything twice
	var requests []provision.Request
	for i := range 5 {
		requests = append(requests, s.accept(fmt.Sprintf("orders-%d", i), nil))
	}
	for i, request := range requests {
		s.becomes(request.ID, provision.Succeeded)
		requests[i] = s.request(request.ID)
	}
	s.allPublished(requests...)
	for _, request := range requests {
		testkit.Eventually(t, soon, "the log is kept, each line once", func() bool {
			lines, err := s.store.LogAfter(t.Context(), request.ID, 0, 10)
			return err == nil && len(lines) == 2 && lines[0].Text == "line 1" && lines[1].Text == "line 2"
		})
		completed := request.Steps[2].Status == provision.StepCompleted && request.Steps[2].Done != nil
		if !completed || request.Outputs["host"] != "db.local" {
			t.Errorf("request has step %+v and outputs %v, want what its worker reported", request.Steps[2], request.Outputs)
		}
	}
	if err := loops.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
	if n := len(loops.Loops()); n != 8 {
		t.Errorf("%d loops are watched, want 8", n)
	}
}

func TestSidecarThatDiesBetweenCommitAndPublishLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	request := s.accept("orders", nil) // by a sidecar whose loops never ran
	run, err := s.store.Change(t.Context(), request.ID, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.queue.WaitingJobs(t.Context(), "local"); n != 0 || err != nil {
		t.Fatalf("%d jobs wait (%v), want none", n, err)
	}
	s.follow()
	s.config.Store = s.open() // the next process
	s.run(s.config)
	testkit.Eventually(t, soon, "the job is offered", func() bool {
		n, err := s.queue.WaitingJobs(t.Context(), "local")
		return err == nil && n == 1
	})
	s.worker("local", 1)
	s.becomes(request.ID, provision.Succeeded)
	s.allPublished(s.request(request.ID))
	if got := s.request(request.ID); got.Generation != 1 || run.Run.ID == uuid.Nil {
		t.Errorf("generation is %d", got.Generation)
	}
}

func TestJobThatNobodyTakesIsOfferedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(s.config)
	first := s.accept("orders", nil)
	testkit.Eventually(t, soon, "the job is offered", func() bool {
		n, err := s.queue.WaitingJobs(t.Context(), "local")
		return err == nil && n == 1
	})
	// Later rounds of the sweep are seen by what they do for another request.
	s.accept("billing", func(r *provision.Request) { r.Environment = "prod" })
	testkit.Eventually(t, soon, "the sweep has looked again", func() bool {
		jobs, err := s.store.Unclaimed(t.Context(), 4*s.config.Patience, 10)
		return err == nil && len(jobs["local"]) == 1
	})
	if n, err := s.queue.WaitingJobs(t.Context(), "local"); n != 1 || err != nil {
		t.Errorf("%d jobs wait for one run (%v), want 1", n, err)
	}
	if got := s.request(first.ID); got.State != provision.Queued {
		t.Errorf("request is %s, want queued", got.State)
	}
}

func TestSlotsBoundWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(s.config)
	for i := range 5 {
		s.accept(fmt.Sprintf("orders-%d", i), nil)
	}
	testkit.Eventually(t, soon, "both slots are taken", func() bool {
		inFlight, err := s.store.InFlight(t.Context())
		if inFlight["local"] > 2 {
			t.Fatalf("%d runs are in flight, want at most 2", inFlight["local"])
		}
		return err == nil && inFlight["local"] == 2
	})
	s.worker("local", 1)
	testkit.Eventually(t, soon, "all have succeeded", func() bool {
		inFlight, err := s.store.InFlight(t.Context())
		if err == nil && inFlight["local"] > 2 {
			t.Fatalf("%d runs are in flight, want at most 2", inFlight["local"])
		}
		page, err := s.store.Requests(t.Context(), provision.RequestFilter{States: []provision.State{provision.Succeeded}})
		return err == nil && len(page.Items) == 5
	})
}

func TestQueuedRequestsAreJudgedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.judge.verdict = func(r *provision.Record) (provision.Verdict, error) {
		switch r.Request.Name {
		case "too-large":
			return testkit.Denial(), nil
		case "unjudged":
			return provision.Verdict{}, errors.New("the rules have a fault")
		}
		return testkit.Verdict(), nil
	}
	unjudged, denied, allowed := s.accept("unjudged", nil), s.accept("too-large", nil), s.accept("orders", nil)
	s.config.Limits = func() provision.Limits { return provision.Limits{Slots: 1} }
	s.run(s.config)
	s.worker("local", 1)
	s.becomes(denied.ID, provision.DeniedState)
	s.becomes(allowed.ID, provision.Succeeded) // one that cannot be judged holds up no other
	if got := s.request(unjudged.ID); got.State != provision.Queued {
		t.Errorf("the request that cannot be judged is %s, want queued", got.State)
	}
	if got := s.request(denied.ID); !strings.Contains(got.Error.Message, "too large") || len(got.Verdict.Findings) != 2 {
		t.Errorf("the denial says %q with %d findings, want both", got.Error.Message, len(got.Verdict.Findings))
	}
}

func TestSilentWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(s.config)
	planning, applying := s.accept("planning", nil), s.accept("applying", nil)
	runs := map[uuid.UUID]provision.Run{}
	testkit.Eventually(t, soon, "both are dispatched", func() bool {
		jobs, err := s.store.Unclaimed(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, job := range jobs["local"] {
			if runs[job.RequestID].ID != uuid.Nil {
				continue
			}
			record, err := s.claim(t.Context(), "w0", job.RunID, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			runs[job.RequestID] = *record.Run
		}
		return len(runs) == 2
	})
	if err := s.goOn(t.Context(), runs[applying.ID].ID); err != nil {
		t.Fatal(err)
	}
	for _, run := range runs { // renewed for no time at all: w0 is silent from now on
		if _, err := s.store.ChangeRun(t.Context(), run.ID, func(r *provision.Record) error { return r.Renew(-time.Second) }); err != nil {
			t.Fatal(err)
		}
	}
	s.becomes(applying.ID, provision.Lost)
	s.worker("local", 1)
	s.becomes(planning.ID, provision.Succeeded)
	if got := s.request(applying.ID); got.State != provision.Lost {
		t.Errorf("the request whose worker fell silent during apply is %s, want lost: no other may apply it", got.State)
	}

	another := runs[applying.ID]
	another.Worker = "w1"
	for _, word := range []struct {
		side *queue.Pool
		run  provision.Run
	}{
		{s.side("local", "w0"), runs[planning.ID]}, // its own run, which is another's by now
		{s.side("local", "w1"), another},           // another's run in its own name
		{s.side("local", "w1"), runs[applying.ID]}, // another's run in the other's name
		{s.side("aws", "w0"), runs[applying.ID]},   // the same name in another pool
	} {
		failed := outcome(word.run, 7)
		failed.Outcome.Result = provision.ResultFailed
		if err := word.side.PublishReport(t.Context(), failed); err != nil {
			t.Fatal(err)
		}
	}
	after := s.accept("after", nil) // its reports are taken after those
	s.becomes(after.ID, provision.Succeeded)
	if got := s.request(planning.ID); got.State != provision.Succeeded {
		t.Errorf("a report of the abandoned run made the request %s", got.State)
	}
	if got := s.request(applying.ID); got.State != provision.Lost {
		t.Errorf("another worker's word made the lost request %s", got.State)
	}
	if err := s.side("local", "w0").PublishReport(t.Context(), outcome(runs[applying.ID], 1)); err != nil {
		t.Fatal(err)
	}
	s.becomes(applying.ID, provision.Succeeded) // its own worker is back
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.QueueTimeout = time.Millisecond
	s.config.Environments = nil // nothing takes it up
	request := s.accept("orders", nil)
	s.run(s.config)
	s.becomes(request.ID, provision.Failed)
	got := s.request(request.ID)
	if want := "it waited longer than 1ms, waiting for a worker; ask again once a worker of its environment is up"; got.Error.Message != want {
		t.Errorf("it says %q, want %q", got.Error.Message, want)
	}
	instance, err := s.store.Instance(t.Context(), got.InstanceID)
	if err != nil || instance.State != provision.Released {
		t.Errorf("its instance is %s (%v), want released", instance.State, err)
	}
}

func TestNobodyWaitsForEverForApproval(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Environments = nil // the test takes it up itself
	request := s.accept("orders", nil)
	for _, move := range []func(*provision.Record) error{
		func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) },
		func(r *provision.Record) error { return r.Claim("w1", "digest", time.Minute) },
		func(r *provision.Record) error {
			_, err := r.Decide(provision.Planned{Verdict: testkit.NeedsApproval(1), People: testkit.Approvers()})
			return err
		},
		func(r *provision.Record) error { return r.Wait("digest", time.Millisecond) },
	} {
		if _, err := s.store.Change(t.Context(), request.ID, move); err != nil {
			t.Fatal(err)
		}
	}
	s.run(s.config)
	s.becomes(request.ID, provision.DeniedState)
	if got := s.request(request.ID); got.Error.Message != "It waited too long for approval by platform-team, so it is denied." {
		t.Errorf("it says %q", got.Error.Message)
	}
}

func TestLoopsOutliveNATS(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testkit.NATSServer){
		"which keeps its data": func(*testkit.NATSServer) {},
		"which loses its data": (*testkit.NATSServer).WipeData,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.follow()
			loops, _ := s.run(s.config)
			before := s.accept("before", nil)
			testkit.Eventually(t, soon, "the first job is offered", func() bool {
				n, err := s.queue.WaitingJobs(t.Context(), "local")
				return err == nil && n == 1
			})
			s.nats.Stop()
			during := s.accept("during", nil) // NATS is no part of accepting
			testkit.Eventually(t, soon, "the request has a run all the same", func() bool {
				jobs, err := s.store.Unclaimed(t.Context(), 0, 10)
				return err == nil && len(jobs["local"]) == 2
			})
			lose(s.nats)
			s.nats.Start()
			s.worker("local", 1)
			s.becomes(before.ID, provision.Succeeded)
			s.becomes(during.ID, provision.Succeeded)
			testkit.Eventually(t, soon, "the outbox is empty", func() bool {
				n, _, err := s.store.Unpublished(t.Context())
				return err == nil && n == 0
			})
			if err := loops.Health(); err != nil {
				t.Errorf("health: %v", err)
			}
		})
	}
}

func TestLoopsOutlivePostgres(t *testing.T) {
	t.Parallel()
	server := testkit.NewServer(t)
	s := newSiteOn(t, server.DSN())
	s.follow()
	s.run(s.config)
	before := s.accept("before", nil)
	testkit.Eventually(t, soon, "the job is offered", func() bool {
		n, err := s.queue.WaitingJobs(t.Context(), "local")
		return err == nil && n == 1
	})
	jobs, err := s.store.Unclaimed(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.claim(t.Context(), "w0", jobs["local"][0].RunID, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.goOn(t.Context(), record.Run.ID); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	side := s.side("local", "w0")
	// A worker's words wait in their stream for as long as it takes.
	if err := s.say(t.Context(), side, *record.Run); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Accept(t.Context(), testkit.Created("during", nil)); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("accept while the database is down: %v, want unavailable", err)
	}
	server.Start()
	s.becomes(before.ID, provision.Succeeded)
	testkit.Eventually(t, soon, "the log is kept", func() bool {
		lines, err := s.store.LogAfter(t.Context(), before.ID, 0, 10)
		return err == nil && len(lines) == 2
	})
	s.allPublished(s.request(before.ID))
}

func TestTwoSidecarsGiveARequestOneRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.follow()
	s.run(s.config)
	second := s.config
	second.Store, second.Queue = s.open(), s.connect()
	s.run(second)
	s.worker("local", 1)
	var requests []provision.Request
	for i := range 10 {
		requests = append(requests, s.accept(fmt.Sprintf("orders-%d", i), nil))
	}
	fences := []int64{}
	for _, request := range requests {
		s.becomes(request.ID, provision.Succeeded)
		instance, err := s.store.Instance(t.Context(), request.InstanceID)
		if err != nil {
			t.Fatal(err)
		}
		fences = append(fences, instance.Fence)
	}
	if diff := cmp.Diff([]int64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, fences); diff != "" {
		t.Errorf("claims per instance (-want +got):\n%s", diff)
	}
	s.allPublished(requests...)
}
