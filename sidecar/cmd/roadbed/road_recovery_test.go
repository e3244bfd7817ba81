package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// loseMachine loses a worker's machine after Terraform has made everything and
// before its state was pushed: worker, supervisor and disk are gone for good.
func (r *road) loseMachine(worker *process, name string, request uuid.UUID) {
	r.t.Helper()
	r.untilMaking(request)
	for _, pid := range r.supervisors() {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			r.t.Fatal(err)
		}
	}
	r.until("the journal has all that was made", func() bool {
		return r.number("SELECT count(*) FROM journal WHERE did = 'made' AND address = 'terraform_data.credentials'") == 1
	})
	worker.kill()
	r.endRuns()
	if err := os.RemoveAll(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
	r.until("all that it had said is heard", r.settled) // what comes late takes the request up once more
	r.untilState(request, provision.Lost)
	if n := r.number("SELECT count(*) FROM runs WHERE request_id = $1 AND state = 'claimed'", request); n != 1 {
		r.t.Errorf("a lost request has %d claimed runs, want its own", n)
	}
}

// TestLostMachineIsRecovered is laws 2, 5 and 9: at an operator's word another
// worker imports what the journal names, plans anew and comes to the end, and
// nothing is made twice.
func TestLostMachineIsRecovered(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "3s"})
	first := r.startWorkerOf("w1", 1)
	request := r.submit(r.submission("dev"))
	r.loseMachine(first, "w1", request.Id)
	second := r.startWorker("w2")

	operator := r.as(pat)
	if _, err := operator.Recover(t.Context(), request.Id, "vm-1 is gone"); provision.KindOf(err) != provision.Conflict {
		t.Errorf("recovered before anybody has attested: %v", err)
	}
	if _, err := operator.Attest(t.Context(), request.Id, "vm-1 is gone"); err != nil {
		t.Fatal(err)
	}
	recovery, err := operator.Recover(t.Context(), request.Id, "vm-1 is gone")
	if err != nil || len(recovery.Imports) == 0 {
		t.Fatalf("recover: %+v, %v; want something to import", recovery, err)
	}
	r.untilState(request.Id, provision.Succeeded)
	r.wantMade(request.Parameters["database_name"], 1, 2)
	if n, fence, worker := r.runs(request.Id); n != 2 || fence != 2 || worker != "w2" {
		t.Errorf("it took %d runs, the last under token %d of %s", n, fence, worker)
	}
	story := r.story(request.Id)
	if got, want := story[strings.LastIndex(story, "request.lost"):], "request.lost run.attested run.recovered request.planning run.started request.planned request.applying request.succeeded"; got != want {
		t.Errorf("its story ends with %s, want %s", got, want)
	}
	r.wantLogged(request.Id, "postgres_database.main", "is imported")
	if n := r.number("SELECT count(*) FROM verdicts WHERE request_id = $1 AND stage = 'plan'", request.Id); n != 2 {
		t.Errorf("%d plans of it were judged, want both", n)
	}
	if n := r.number("SELECT count(*) FROM journal"); n != 0 {
		t.Errorf("%d entries of the journal outlive the good end", n)
	}
	credentials, err := r.as(ann).Credentials(t.Context(), *request.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, credentials, "username", "password")
	if strings.Contains(second.output(), `"level":"ERROR"`) {
		t.Error("the second worker has had an error")
	}
	r.audit()
	r.wantPublished()
}

// TestWhatStateNeverKnewIsDestroyed is law 9: an operator gives the lost create
// up, and destroy finds what it has made by the journal.
func TestWhatStateNeverKnewIsDestroyed(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "3s"})
	first := r.startWorkerOf("w1", 1)
	request := r.submit(r.submission("dev"))
	r.loseMachine(first, "w1", request.Id)
	r.wantMade(request.Parameters["database_name"], 1, 2)
	r.startWorker("w2")
	if _, err := r.as(pat).Attest(t.Context(), request.Id, "vm-1 is gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.as(pat).Conclude(t.Context(), request.Id, provision.ResultFailed, "not needed any more"); err != nil {
		t.Fatal(err)
	}
	removal, err := r.as(ann).Destroy(t.Context(), uuid.NewString(), *request.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(removal.Id, provision.Succeeded)
	r.wantMade(request.Parameters["database_name"], 0, 0)
	r.audit()
}

// wantLogged looks for a line of a request's log with all of texts.
func (r *road) wantLogged(request uuid.UUID, texts ...string) {
	r.t.Helper()
	lines, err := r.as(ann).Logs(r.t.Context(), request, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, line := range lines {
		found := true
		for _, text := range texts {
			found = found && strings.Contains(line.Text, text)
		}
		if found {
			return
		}
	}
	r.t.Errorf("no line of its log has %q:\n%s", texts, logText(lines))
}

func logText(lines []provision.LogEntry) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}
