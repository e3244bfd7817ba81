package control_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// begun is a request that is being applied, and its run.
func (s *site) begun(name string) (provision.Request, *provision.Run) {
	s.t.Helper()
	request := s.accept(name, nil)
	record, err := s.store.Change(s.t.Context(), request.ID, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	if err != nil {
		s.t.Fatal(err)
	}
	if record, err = s.claim(s.t.Context(), "w1", record.Run.ID, time.Minute); err != nil {
		s.t.Fatal(err)
	}
	if err := s.goOn(s.t.Context(), record.Run.ID); err != nil {
		s.t.Fatal(err)
	}
	return request, record.Run
}

// step reports on the step that makes the database.
func (s *site) step(run *provision.Run, sequence int64, status string) {
	s.t.Helper()
	s.take(*run, provision.Report{Sequence: sequence, Kind: provision.ReportAddress, Address: "terraform_data.database", Status: status})
}

func (s *site) take(run provision.Run, report provision.Report) {
	s.t.Helper()
	report.RunID, report.Worker, report.Fence = run.ID, run.Worker, run.Fence
	_, err := s.store.ChangeRun(s.t.Context(), run.ID, func(r *provision.Record) error {
		_, err := r.Take(report)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// stalls are the step.stalled events of a request.
func (s *site) stalls(id uuid.UUID) (told []provision.Event) {
	s.t.Helper()
	events, err := s.store.EventsAfter(s.t.Context(), id, 0, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range events {
		if e.Entity == "step" && e.Verb == "stalled" {
			told = append(told, e)
		}
	}
	return told
}

func TestAStepThatTakesTooLongIsToldOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 9 {
		_, run := s.begun(fmt.Sprintf("orders-%d", i))
		s.step(run, 1, "started")
		s.step(run, 2, "completed")
		s.take(*run, outcome(*run, 3))
	}
	first, firstRun := s.begun("first")
	second, run := s.begun("second")
	s.step(firstRun, 1, "started")
	s.config.StepLook = time.Millisecond
	s.run(s.config)
	told := func(id uuid.UUID) func() bool { return func() bool { return len(s.stalls(id)) > 0 } }
	testkit.Eventually(t, soon, "the step is told to have stalled", told(first.ID))
	s.step(run, 1, "started") // later, so that the first was looked at again
	testkit.Eventually(t, soon, "another is told", told(second.ID))
	stalls := s.stalls(first.ID)
	if len(stalls) != 1 || stalls[0].Data["status"] != string(provision.StepInProgress) || fmt.Sprint(stalls[0].Data["basis"]) != "9" {
		t.Errorf("told %+v, want the step once, from 9", stalls)
	}
	s.step(run, 2, "completed")
	for _, step := range s.request(second.ID).Steps {
		if step.Status == provision.StepInProgress && step.StalledAt != nil {
			t.Errorf("%+v is still called stalled", step)
		}
	}
}
