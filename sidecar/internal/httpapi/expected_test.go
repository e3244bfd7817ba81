package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestARequestSaysByWhenItIsDoneAndWhichStepHasStalled(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) {
		store := c.Reader.(interface {
			provision.History
			provision.Line
		})
		c.Service.History, c.Service.Line = store, store
		c.Service.Limits = func() provision.Limits { return provision.Limits{Slots: 1} }
	})
	look := func(id uuid.UUID) api.Request {
		t.Helper()
		request, err := r.as(ann).Request(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return request
	}
	offering, err := r.service.Catalog.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	var step provision.StepDefinition
	for _, s := range offering.Steps {
		if len(s.Addresses) > 0 {
			step = s
			break
		}
	}
	say := func(run uuid.UUID, status string) {
		for _, address := range step.Addresses {
			r.report(run, provision.Report{Kind: provision.ReportAddress, Address: address, Status: status})
		}
	}
	for i := range 9 {
		first := r.submit(fmt.Sprintf("orders-%c", 'a'+i))
		if i == 0 {
			if got := look(first.Id); got.Expected == nil || got.Expected.By != nil || got.Expected.Message != "no estimate yet: it takes 9 like it that succeeded, and there are 0" {
				t.Errorf("without history %+v is expected, want no time and how many it takes", got.Expected)
			}
			if got := look(first.Id).Waiting; got != "1st in line for pool local; 0 of 1 slots busy" {
				t.Errorf("it waits for %q, want its place", got)
			}
		}
		claim, err := r.worker(poolToken).Claim(t.Context(), r.dispatch(first.Id))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.worker(poolToken).Plan(t.Context(), claim.RunID, claim.Token, nil); err != nil {
			t.Fatal(err)
		}
		say(claim.RunID, "started")
		say(claim.RunID, "completed")
		r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true}})
		if got := look(first.Id); got.Expected != nil {
			t.Errorf("of what has ended %+v is expected, want nothing", got.Expected)
		}
	}
	request, claim := r.applying("slow")
	if got := look(request.Id).Expected; got == nil || got.By == nil || got.Basis != 9 || got.P50Seconds == nil || got.P90Seconds == nil || *got.P50Seconds > *got.P90Seconds {
		t.Errorf("expected %+v, want a time told from 9", got)
	}
	var founding api.RequestStatus
	answer := r.raw(http.MethodGet, "/api/v1/requests/"+request.Id.String(), r.jsonBy(ann), "")
	if err := json.Unmarshal([]byte(answer.body), &founding); err != nil || founding.EstimatedCompletion == nil {
		t.Errorf("the founding path says %s (%v), want an estimated completion", answer.body, err)
	}
	say(claim.RunID, "started")
	line := provision.LogLine{RunID: claim.RunID, Pool: "local", Worker: "worker-1", Fence: claim.Fence, Number: 1, At: time.Now(), Text: "still creating…"}
	if err := r.store.AppendLog(t.Context(), []provision.LogLine{line}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, "the step is named as stalled", func() bool {
		for _, s := range look(request.Id).Steps {
			if s.Stalled != nil {
				return s.Name == step.Name && s.Stalled.Basis == 9 && s.Stalled.LastLine == "still creating…" && strings.HasPrefix(s.Stalled.Message, "stalled: ")
			}
		}
		return false
	})
	say(claim.RunID, "completed")
	for _, s := range look(request.Id).Steps {
		if s.Name == step.Name && s.Stalled != nil {
			t.Error("a completed step is still called stalled")
		}
	}
}
