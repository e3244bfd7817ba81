package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestStateInABucket keeps states in S3. The bucket is away while something is
// made: the run waits with its outcome until it is back, and nothing is lost.
// Then they are moved home, and life goes on without a bucket.
func TestStateInABucket(t *testing.T) {
	t.Parallel()
	s3 := testkit.S3(t)
	var variables []string
	for name, value := range s3.Variables() {
		variables = append(variables, name+"="+value)
	}
	r := newRoad(t, options{delay: "1s", serve: []string{"--state", "s3://platform-terraform-state/databases"}, variables: variables})
	r.startWorker("w1")
	owner := r.as(ann)
	submission := r.submission("dev")
	name, _ := submission.Parameters["database_name"].(string)
	made := r.submit(submission)
	r.untilMaking(made.Id)
	s3.SetDown(true)
	r.until("a push is refused", func() bool { return strings.Contains(r.sidecar.output(), "the bucket platform-terraform-state") })
	r.until("the database is there", func() bool { databases, _ := r.made(name); return databases == 1 })
	if state, _ := r.row(made.Id); state.Terminal() {
		t.Errorf("without its state kept, the request is %s", state)
	}
	s3.SetDown(false)
	r.untilState(made.Id, provision.Succeeded)

	update, err := owner.Update(t.Context(), uuid.NewString(), *made.InstanceId, provision.Parameters{"storage_gb": 120})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	if n := r.number("SELECT count(sealed) FROM states"); n != 0 {
		t.Errorf("%d states are in the database", n)
	}
	states := 0
	for path, object := range s3.Objects() {
		if strings.HasSuffix(path, ".tfstate.age") {
			states++
			if !strings.HasPrefix(path, "/platform-terraform-state/databases/dev/postgres-database/"+name+"-") || !bytes.HasPrefix(object, []byte("age-encryption.org/v1")) {
				t.Errorf("%s is not a sealed state of %s", path, name)
			}
		}
	}
	if n := r.number("SELECT count(*) FROM states"); n != states || n < 2 {
		t.Errorf("%d states are in the bucket for %d rows", states, n)
	}

	wantDoctor := func(line string) {
		t.Helper()
		doctor := exec.Command(parts.program, append([]string{"doctor", "server"}, r.sidecar.args[1:]...)...)
		doctor.Env = variables
		if said, _ := doctor.CombinedOutput(); !strings.Contains(string(said), line) { // it fails by what is not fast and safe in tests
			t.Errorf("the doctor does not say %q:\n%s", line, said)
		}
	}
	wantDoctor("ok    states ")
	s3.SetDown(true)
	wantDoctor("fail  states ")
	if _, err := r.as(ann).Credentials(t.Context(), *made.InstanceId); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("credentials without the bucket: %v, want unavailable", err)
	}
	s3.SetDown(false)
	move := exec.Command(parts.program, "state", "move", "--database", r.database, "--state", "s3://platform-terraform-state/databases", "--to", "database")
	move.Env = variables
	if said, err := move.CombinedOutput(); err != nil || !strings.HasPrefix(string(said), fmt.Sprintf("Moved %d states", states)) {
		t.Fatalf("state move: %v, %s", err, said)
	}
	s3.SetDown(true) // nobody needs it any more
	r.sidecar.kill()
	r.sidecar.args = r.sidecar.args[:len(r.sidecar.args)-2] // without --state
	r.sidecar.start()
	r.untilReady()
	request, err := r.patient(ann).DestroyConfirmed(t.Context(), uuid.NewString(), *made.InstanceId, name)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(request.Id, provision.Succeeded)
	r.wantMade(name, 0, 0)
	r.audit()
}
