package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// Config is how a worker works. Name, Root and Terraform.Binary must be set.
type Config struct {
	Name       string             // unique in its pool, and the same after a restart
	Root       string             // this worker's own folder; runs and prepared modules live in it. Not shared, and kept over restarts
	Slots      int                // runs at a time; 0 is 1
	Terraform  terraform.Settings // what Terraform is started with
	Connection Connection         // how a supervisor reaches the sidecar
	Self       string             // this program's executable; empty asks the system
	Drain      time.Duration      // how long a stopping worker waits for runs that apply, before it leaves them to their supervisors; 0 leaves them at once
	Patience   Patience           // how long things may take
	CheckEvery time.Duration      // between looks for a drift check that is due; 0 is 2 s
}

// Worker does the jobs of one pool. All fields must be set.
type Worker struct {
	Config  Config
	Control Control
	Jobs    Jobs
	Reports Reports
	Log     *slog.Logger

	// Open decrypts what was sealed for this pool.
	Open func(sealed []byte) ([]byte, error)
	// Unpack writes a bundle's files into a folder: modules at module/<implementation>.
	Unpack func(bundle []byte, dir string) error
	// Digest is the digest of the offering that a bundle holds.
	Digest func(bundle []byte) (string, error)
	// Measure reads how an instance of an environment with these outputs is used.
	Measure func(ctx context.Context, rule provision.ActivityRule, environment provision.Environment, outputs map[string]any, variables map[string]string) (provision.Reading, error)

	mu     sync.Mutex
	active map[uuid.UUID]bool
}

// Run takes jobs until ctx ends, after taking up the runs that an earlier
// process has left. When ctx ends it takes no new job, gives back the runs that
// plan, waits up to Drain for those that apply, and leaves the rest to their
// supervisors and the next start. It returns nil then, and an error only when
// it could not begin: a second worker in the same folder is one.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.complete(); err != nil {
		return err
	}
	root := directory(w.Config.Root)
	if err := os.MkdirAll(root.path("runs"), 0o700); err != nil {
		return fmt.Errorf("make the worker's folder: %w", err)
	}
	unlock, ok, err := root.tryLock("worker.lock")
	if err != nil {
		return err
	}
	if !ok {
		return provision.Errorf(provision.Conflict, "another worker uses %s: give each worker a folder of its own", root)
	}
	defer unlock()
	if err := os.RemoveAll(root.path("checks")); err != nil { // of a process that was killed
		return fmt.Errorf("wipe the folder of checks: %w", err)
	}
	if err := terraform.SweepPrepared(root.path("prepared")); err != nil {
		return err
	}
	w.active = map[uuid.UUID]bool{}

	leave, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		w.Log.Info("worker stops", "drain", w.Config.Drain)
		time.AfterFunc(w.Config.Drain, cancel)
	})
	defer stop()

	var wait sync.WaitGroup
	left, err := w.left()
	if err != nil {
		return err
	}
	for _, r := range left {
		wait.Go(func() { r.live(ctx, leave) })
	}
	for range max(w.Config.Slots, 1) {
		wait.Go(func() { w.takeJobs(ctx, leave) })
	}
	wait.Go(func() { w.checkDrift(ctx) })
	wait.Wait()
	return nil
}

func (w *Worker) complete() error {
	switch {
	case w.Config.Name == "" || w.Config.Root == "" || w.Config.Terraform.Binary.Path == "":
		return provision.Errorf(provision.Invalid, "a worker needs a name, a folder and a Terraform binary")
	case w.Control == nil || w.Jobs == nil || w.Reports == nil || w.Log == nil || w.Open == nil || w.Unpack == nil || w.Digest == nil || w.Measure == nil:
		return errors.New("worker: a field is not set")
	}
	var err error
	if w.Config.Root, err = filepath.Abs(w.Config.Root); err != nil {
		return fmt.Errorf("find the worker's folder: %w", err)
	}
	if w.Config.Self == "" {
		if w.Config.Self, err = os.Executable(); err != nil {
			return fmt.Errorf("find our own executable: %w", err)
		}
	}
	return w.Config.Terraform.Check()
}

func (w *Worker) takeJobs(ctx, leave context.Context) {
	for ctx.Err() == nil {
		delivery, err := w.Jobs.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				w.Log.Warn("no job fetched", "err", err)
				pause(ctx, time.Second)
			}
			continue
		}
		if r := w.claim(ctx, delivery); r != nil {
			r.live(ctx, leave)
		}
	}
}

// claim makes a run of a job, or answers the job and is nil. The job is
// acknowledged only when the claim is on disk: from then on it is this worker's
// folder that remembers the run.
func (w *Worker) claim(ctx context.Context, delivery Delivery) *run {
	id := delivery.Job.RunID
	log := w.Log.With("run_id", id, "request_id", delivery.Job.RequestID)
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer done()
	answer := func(name string, give func(context.Context) error) {
		if err := give(ctx); err != nil {
			log.Warn("job not answered; it will come again", "answer", name, "err", err)
		}
	}
	if !w.begin(id) {
		// Claiming again would change the run's token under its own feet.
		answer("ack", delivery.Ack)
		return nil
	}
	claim, err := w.Control.Claim(ctx, id)
	if err != nil {
		w.end(id)
		switch provision.KindOf(err) {
		case provision.Conflict, provision.NotFound, provision.Invalid, provision.Gone, provision.Denied:
			log.Info("job dropped", "err", err)
			answer("ack", delivery.Ack)
		default:
			log.Warn("run not claimed", "err", err)
			answer("nak", delivery.Nak)
		}
		return nil
	}
	r, err := w.create(claim)
	if err != nil {
		w.end(id)
		log.Error("run not kept on disk", "err", err)
		if err := w.Control.Release(ctx, id, claim.Token); err != nil {
			log.Warn("run not released; its lease will run out", "err", err)
		}
		answer("ack", delivery.Ack)
		return nil
	}
	answer("ack", delivery.Ack)
	return r
}

func (w *Worker) begin(id uuid.UUID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active[id] {
		return false
	}
	w.active[id] = true
	return true
}

func (w *Worker) end(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.active, id)
}

func (w *Worker) runDir(id uuid.UUID) directory {
	return directory(filepath.Join(w.Config.Root, "runs", id.String()))
}

func (w *Worker) create(claim provision.Claim) (*run, error) {
	d := w.runDir(claim.RunID)
	if err := os.MkdirAll(d.path("bin"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of run %s: %w", claim.RunID, err)
	}
	rec := record{
		Claim: claim, Worker: w.Config.Name, Phase: phaseClaimed,
		Terraform: w.Config.Terraform.Binary.Path, Version: w.Config.Terraform.Binary.Version, Self: w.Config.Self,
		Patience: w.Config.Patience.orDefault(time.Duration(claim.LeaseSeconds) * time.Second),
	}
	err := errors.Join(d.write(connectionFile, w.Config.Connection), os.Symlink(w.Config.Self, d.path(shimLink)), d.write(recordFile, rec))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(string(d)))
	}
	return w.open(d, rec)
}

func (w *Worker) open(d directory, rec record) (*run, error) {
	log := w.Log.With("run_id", rec.Claim.RunID, "request_id", rec.Claim.RequestID, "offering", rec.Claim.Offering)
	redactor := &terraform.Redactor{}
	redactor.Add([]any{rec.Claim.Token, w.Config.Connection.Token})
	reporter, err := openReporter(d, rec, w.Reports, redactor, log)
	if err != nil {
		return nil, err
	}
	return &run{w: w, dir: d, rec: rec, log: log, redactor: redactor, reporter: reporter}, nil
}

// left are the runs that an earlier process was at.
func (w *Worker) left() ([]*run, error) {
	entries, err := os.ReadDir(filepath.Join(w.Config.Root, "runs"))
	if err != nil {
		return nil, fmt.Errorf("look for runs that were left: %w", err)
	}
	var runs []*run
	for _, entry := range entries {
		d := directory(filepath.Join(w.Config.Root, "runs", entry.Name()))
		if !d.has(recordFile) {
			// Its claim never got on disk, so nothing was begun.
			if err := os.RemoveAll(string(d)); err != nil {
				return nil, fmt.Errorf("wipe %s: %w", d, err)
			}
			continue
		}
		rec, err := d.record()
		if err != nil {
			return nil, err
		}
		// The program may have been replaced by a newer one at another path.
		rec.Self = w.Config.Self
		if err := errors.Join(relink(w.Config.Self, d.path(shimLink)), d.write(recordFile, rec), d.write(connectionFile, w.Config.Connection)); err != nil {
			return nil, fmt.Errorf("take up run %s: %w", rec.Claim.RunID, err)
		}
		r, err := w.open(d, rec)
		if err != nil {
			return nil, err
		}
		r.found = true
		w.begin(rec.Claim.RunID)
		w.Log.Info("run found", "run_id", rec.Claim.RunID, "phase", cmp.Or(rec.Phase, phaseClaimed))
		runs = append(runs, r)
	}
	return runs, nil
}

func relink(target, link string) error {
	staged := link + ".new"
	_ = os.Remove(staged)
	if err := os.Symlink(target, staged); err != nil {
		return err
	}
	return os.Rename(staged, link)
}
