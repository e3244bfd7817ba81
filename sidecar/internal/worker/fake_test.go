package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// sidecar stands for the sidecar and NATS in one: it keeps runs in memory and
// answers over HTTP, because supervisors and killed workers are other processes.
type sidecar struct {
	server *httptest.Server
	bundle []byte

	mu    sync.Mutex
	runs  map[uuid.UUID]*fakeRun
	jobs  []provision.Job
	down  bool
	check *provision.Check // offered until it is finished
	found []provision.Checked
	state []byte // sealed, of the check
	calls map[string]int
}

type fakeRun struct {
	claim    provision.Claim
	state    string // dispatched, planning, applying, ended, requeued
	deny     bool
	deaf     bool   // the answer to keeping the plan is lost
	stuck    bool   // no plan can be kept now
	wait     bool   // people must approve the plan
	kept     []byte // the sealed plan
	cancel   string
	conflict bool // renewals are refused
	busy     int  // so many claims find the sidecar unavailable
	head     *provision.StateVersion
	plans    [][]provision.Change
	reports  []provision.Report // those that counted
	logs     map[int64]string
	pushes   []provision.StateVersion
}

// message is every call and every answer.
type message struct {
	Run      uuid.UUID
	Token    string
	Changes  []provision.Change      `json:",omitempty"`
	Report   *provision.Report       `json:",omitempty"`
	Lines    []provision.LogLine     `json:",omitempty"`
	Version  *provision.StateVersion `json:",omitempty"`
	Claim    *provision.Claim        `json:",omitempty"`
	Lease    *provision.Lease        `json:",omitempty"`
	View     *provision.RunView      `json:",omitempty"`
	Job      *provision.Job          `json:",omitempty"`
	Check    *provision.Check        `json:",omitempty"`
	Checked  *provision.Checked      `json:",omitempty"`
	Bundle   []byte                  `json:",omitempty"`
	Sealed   []byte                  `json:",omitempty"`
	Wait     bool                    `json:",omitempty"`
	Kind     provision.Kind          `json:",omitempty"`
	Error    string                  `json:",omitempty"`
	Findings []provision.Finding     `json:",omitempty"`
}

func newSidecar(t testing.TB) *sidecar {
	s := &sidecar{runs: map[uuid.UUID]*fakeRun{}, calls: map[string]int{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *sidecar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in message
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	out, err := s.answer(r.Context(), name, in)
	if err != nil {
		out.Kind, out.Error = provision.KindOf(err), err.Error()
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *sidecar) answer(ctx context.Context, name string, in message) (message, error) {
	if name == "next" {
		return s.next(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return message{}, provision.Unreachable("the sidecar", errors.New("it is down for a test"))
	}
	s.calls[name]++
	if name == "bundle" {
		return message{Bundle: s.bundle}, nil
	}
	switch name {
	case "claim check":
		return message{Check: s.check}, nil
	case "checked state":
		return message{Version: &provision.StateVersion{Sealed: s.state}}, nil
	case "finish check":
		s.check, s.found = nil, append(s.found, *in.Checked)
		return message{}, nil
	}
	if name == "nak" {
		s.jobs = append(s.jobs, *in.Job)
		return message{}, nil
	}
	if name == "logs" {
		for _, line := range in.Lines {
			if run := s.runs[line.RunID]; run != nil {
				run.logs[line.Number] = line.Text
			}
		}
		return message{}, nil
	}
	run := s.runs[in.Run]
	if run == nil {
		return message{}, provision.Errorf(provision.NotFound, "no run %s", in.Run)
	}
	owned := in.Token == run.claim.Token && run.state != "ended" && run.state != "requeued" && run.state != "dispatched"
	lost := provision.Errorf(provision.Conflict, "the run is %s", run.state)
	switch name {
	case "claim":
		if run.busy > 0 {
			run.busy--
			return message{}, provision.Unreachable("the database", errors.New("for a test"))
		}
		if run.state != "dispatched" {
			return message{}, lost
		}
		run.state = "planning"
		return message{Claim: &run.claim}, nil
	case "renew":
		if !owned || run.conflict {
			return message{}, lost
		}
		return message{Lease: &provision.Lease{Cancel: run.cancel}}, nil
	case "release":
		if !owned || run.state != "planning" {
			return message{}, lost
		}
		run.state = "requeued"
	case "plan":
		run.plans = append(run.plans, in.Changes)
		if !owned || run.cancel != "" {
			return message{}, lost
		}
		if run.deny {
			return message{}, provision.Errorf(provision.Denied, "too big for dev. Choose a smaller one.")
		}
		if run.wait {
			return message{Wait: true}, nil
		}
		run.state = "applying"
	case "keep":
		if !owned || run.cancel != "" {
			return message{}, lost
		}
		if run.stuck {
			return message{}, provision.Unreachable("the database", errors.New("for a test"))
		}
		run.kept, run.state = in.Sealed, "ended"
		if run.deaf {
			return message{}, provision.Unreachable("the sidecar", errors.New("its answer is lost for a test"))
		}
	case "kept":
		if !owned {
			return message{}, lost
		}
		if run.kept == nil {
			return message{}, provision.Errorf(provision.NotFound, "no plan")
		}
		return message{Sealed: run.kept}, nil
	case "view":
		view := provision.RunView{State: provision.RunClaimed}
		if run.state == "ended" || run.state == "requeued" {
			view.State = provision.RunEnded
		}
		if run.wait && run.state == "ended" {
			view.RequestState = provision.AwaitingApproval
		}
		return message{View: &view}, nil
	case "state":
		if !owned {
			return message{}, lost
		}
		if run.head == nil {
			return message{}, provision.Errorf(provision.NotFound, "no state yet")
		}
		return message{Version: run.head}, nil
	case "push":
		run.pushes = append(run.pushes, *in.Version)
	case "report":
		if in.Report.Sequence <= int64(len(run.reports)) || in.Report.Fence != run.claim.Fence || !ownedState(run.state) {
			return message{}, nil // it does not count
		}
		if in.Report.Sequence != int64(len(run.reports)+1) {
			return message{}, fmt.Errorf("report %d overtakes %d", in.Report.Sequence, len(run.reports)+1)
		}
		run.reports = append(run.reports, *in.Report)
		if in.Report.Outcome != nil {
			run.state = "ended"
		}
	}
	return message{}, nil
}

func ownedState(state string) bool { return state == "planning" || state == "applying" }

func (s *sidecar) next(ctx context.Context) (message, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		if len(s.jobs) > 0 {
			job := s.jobs[0]
			s.jobs = s.jobs[1:]
			s.mu.Unlock()
			return message{Job: &job}, nil
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return message{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// with looks at, or changes, a run under the lock.
func (s *sidecar) with(id uuid.UUID, do func(*fakeRun)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.runs[id])
}

func (s *sidecar) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *sidecar) outcome(id uuid.UUID) *provision.RunOutcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, report := range s.runs[id].reports {
		if report.Outcome != nil {
			return report.Outcome
		}
	}
	return nil
}

// A bundle of the tests is a JSON object from paths to texts.
func unpackJSON(bundle []byte, dir string) error {
	var files map[string]string
	if err := json.Unmarshal(bundle, &files); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func opener(identity *age.X25519Identity) func([]byte) ([]byte, error) {
	return func(sealed []byte) ([]byte, error) {
		r, err := age.Decrypt(bytes.NewReader(sealed), identity)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
}

// eventually waits until it is so, and fails the test when it never is.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
		<-tick.C
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
