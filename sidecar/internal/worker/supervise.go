package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Patience is how long things may take. The zero value of each field is its
// default.
type Patience struct {
	Renew     time.Duration `json:"renew"`      // between renewals of a lease; default a third of the lease
	Interrupt time.Duration `json:"interrupt"`  // from asking Terraform to stop until asking again; default 5 min
	Kill      time.Duration `json:"kill"`       // from asking again until killing; default 30 s
	Plan      time.Duration `json:"plan"`       // init and plan together; default 20 min
	Call      time.Duration `json:"call"`       // one call to the sidecar; default 20 s
	Retry     time.Duration `json:"retry"`      // first pause after a call that went wrong; default 500 ms
	RetryMost time.Duration `json:"retry_most"` // longest such pause; default 10 s
}

func (p Patience) orDefault(lease time.Duration) Patience {
	set := func(field *time.Duration, value time.Duration) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&p.Renew, max(lease/3, 100*time.Millisecond))
	set(&p.Interrupt, 5*time.Minute)
	set(&p.Kill, 30*time.Second)
	set(&p.Plan, 20*time.Minute)
	set(&p.Call, 20*time.Second)
	set(&p.Retry, 500*time.Millisecond)
	set(&p.RetryMost, 10*time.Second)
	return p
}

// Supervision is what the `supervise` command is given.
type Supervision struct {
	Dir     string // the run's directory, its one argument
	Connect Connect
	Log     *slog.Logger
}

// launched is Terraform's process as it put itself on disk.
type launched struct {
	process
	At time.Time `json:"at"`
}

// line is the supervisor's Lifeline. It looks at each call how the sidecar is
// reached, because a worker that was started anew may bring a new pool token
// while the supervisor of an old run lives on.
type line struct {
	dir     directory
	connect Connect

	mu     sync.Mutex
	to     Connection
	client Lifeline
}

func (l *line) get() (Lifeline, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var to Connection
	if ok, err := l.dir.read(connectionFile, &to); err != nil || !ok {
		return nil, fmt.Errorf("read how the sidecar is reached: %w", cmp.Or(err, fs.ErrNotExist))
	}
	if l.client == nil || to != l.to {
		client, err := l.connect(to)
		if err != nil {
			return nil, fmt.Errorf("connect to the sidecar: %w", err)
		}
		l.client, l.to = client, to
	}
	return l.client, nil
}

// Renew calls the sidecar.
func (l *line) Renew(ctx context.Context, runID uuid.UUID, token string) (provision.Lease, error) {
	client, err := l.get()
	if err != nil {
		return provision.Lease{}, err
	}
	return client.Renew(ctx, runID, token)
}

// PushState calls the sidecar.
func (l *line) PushState(ctx context.Context, token string, version provision.StateVersion) (bool, error) {
	client, err := l.get()
	if err != nil {
		return false, err
	}
	return client.PushState(ctx, token, version)
}

type supervisor struct {
	dir    directory
	rec    record
	client Lifeline
	log    *slog.Logger
}

// Supervise owns the one Terraform apply of a run: it starts it, or adopts it
// when it runs already, renews the lease, writes the journal, pushes the state
// as it grows, and stops Terraform when someone has asked to. It returns once
// Terraform has ended and its state is with the sidecar, however long that is
// away. When another supervisor is at work it returns at once; it may be
// repeated at any time. The end of ctx never stops Terraform: it only ends the
// waiting for the sidecar after Terraform has ended.
func Supervise(ctx context.Context, config Supervision) error {
	d := directory(config.Dir)
	unlock, ok, err := d.tryLock(supervisorLock)
	for i := 0; err == nil && !ok && i < 20; i++ { // someone may only be looking
		pause(context.WithoutCancel(ctx), 25*time.Millisecond)
		unlock, ok, err = d.tryLock(supervisorLock)
	}
	if err != nil || !ok {
		return err
	}
	defer unlock()
	rec, err := d.record()
	if err != nil {
		return err
	}
	rec.Patience = rec.Patience.orDefault(time.Duration(rec.Claim.LeaseSeconds) * time.Second)
	s := &supervisor{dir: d, rec: rec, client: &line{dir: d, connect: config.Connect}, log: config.Log.With("run_id", rec.Claim.RunID)}
	return s.run(ctx)
}

func (s *supervisor) run(ctx context.Context) error {
	alive := context.WithoutCancel(ctx)
	leased, release := context.WithCancel(alive)
	pushing, stopPushing := context.WithCancel(alive)
	push := &pusher{dir: s.dir, rec: s.rec, client: s.client, log: s.log}
	var renewer, pushes sync.WaitGroup
	renewer.Go(func() { s.renew(leased) })
	pushes.Go(func() { push.follow(pushing) })
	defer renewer.Wait()
	defer release()

	err := s.watch()
	stopPushing()
	pushes.Wait()
	if err != nil {
		return err
	}
	return push.finish(ctx)
}

// watch returns when how Terraform ended is on disk.
func (s *supervisor) watch() error {
	journal, err := openJournal(s.dir)
	if err != nil {
		return err
	}
	defer journal.close()
	if s.dir.has(exitFile) {
		return journal.catchUp()
	}
	terraform, child, err := s.begin()
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := journal.catchUp(); err != nil {
			s.log.Error("journal not written", "err", err)
		}
		select {
		case code := <-child:
			if err := journal.catchUp(); err != nil {
				s.log.Error("journal not written", "err", err)
			}
			s.endRest(terraform, code)
			return s.dir.write(exitFile, exit{Code: code, At: time.Now()})
		case <-tick.C:
		}
		if child == nil && !terraform.alive() {
			if err := journal.catchUp(); err != nil {
				return err
			}
			code := journal.infer()
			s.endRest(terraform, code)
			return s.dir.write(exitFile, exit{Code: code, Inferred: true, At: time.Now()})
		}
		if err := s.stopIfAsked(terraform); err != nil {
			s.log.Error("Terraform not stopped", "err", err)
		}
	}
}

// endRest ends what a Terraform that was killed has left running: nothing may
// go on changing things once the run is said to have ended.
func (s *supervisor) endRest(terraform launched, code int) {
	if code >= 0 {
		return // it has ended its own
	}
	if err := terraform.killGroup(); err != nil {
		s.log.Error("what Terraform started may still run", "err", err)
	}
}

// begin starts Terraform, unless some process of this run has done so already.
// child gets the exit code of a Terraform that is ours and is nil for one that
// is not.
func (s *supervisor) begin() (terraform launched, child <-chan int, err error) {
	if terraform, ok, err := s.launched(); ok || err != nil {
		s.log.Info("Terraform adopted", "pid", terraform.ID, "err", err)
		return terraform, nil, err
	}
	var args []string
	if ok, err := s.dir.read(applyFile, &args); err != nil || !ok {
		return launched{}, nil, fmt.Errorf("read what to apply: %w", err)
	}
	ended := make(chan int, 1)
	if s.dir.has(stopFile) {
		return s.takeName(ended, -1) // cancelled before it began
	}
	cmd, err := s.start(args)
	if err != nil {
		return launched{}, nil, err
	}
	go func() {
		_ = cmd.Wait()
		ended <- cmd.ProcessState.ExitCode()
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case code := <-ended:
			terraform, ok, err := s.launched()
			switch {
			case err != nil:
				return launched{}, nil, err
			case ok && terraform.ID == cmd.Process.Pid: // it was quick
				ended <- code
				return terraform, ended, nil
			case ok: // a child of an earlier supervisor was faster
				return terraform, nil, nil
			}
			return s.takeName(ended, code) // it never came so far
		case <-tick.C:
			if terraform, ok, err := s.launched(); err != nil {
				return launched{}, nil, err
			} else if ok && terraform.ID == cmd.Process.Pid {
				s.log.Info("Terraform started", "pid", terraform.ID)
				return terraform, ended, nil
			}
		}
	}
}

// takeName puts nobody in the place of Terraform's process, so that none can
// begin any more, unless one has.
func (s *supervisor) takeName(ended chan int, code int) (terraform launched, child <-chan int, err error) {
	nobody := launched{At: time.Now()}
	made, err := s.dir.create(processFile, nobody)
	if err != nil {
		return launched{}, nil, err
	}
	if !made {
		terraform, _, err := s.launched()
		return terraform, nil, err
	}
	ended <- code
	return nobody, ended, nil
}

func (s *supervisor) launched() (launched, bool, error) {
	var terraform launched
	ok, err := s.dir.read(processFile, &terraform)
	return terraform, ok, err
}

func (s *supervisor) start(args []string) (*exec.Cmd, error) {
	events, err := os.OpenFile(s.dir.path(eventsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open Terraform's events: %w", err)
	}
	defer events.Close()
	complaints, err := os.OpenFile(s.dir.path(stderrFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open Terraform's stderr: %w", err)
	}
	defer complaints.Close()
	cmd := exec.Command(s.dir.path(shimLink), args...)
	cmd.Env = append(os.Environ(), launchVariable+"=1")
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir.work(), events, complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Terraform: %w", err)
	}
	return cmd, nil
}

// stopIfAsked interrupts Terraform, again after a while, and kills it at last.
// What it does it first puts on disk: a supervisor that takes over must not
// interrupt a second time at once, which would make Terraform leave what it is
// making.
func (s *supervisor) stopIfAsked(terraform launched) error {
	var asked stop
	ok, err := s.dir.read(stopFile, &asked)
	if err != nil {
		return err
	}
	now := time.Now()
	if !ok {
		limit := time.Duration(s.rec.Claim.ApplyTimeoutSeconds) * time.Second
		if limit <= 0 || now.Sub(terraform.At) < limit {
			return nil
		}
		return s.dir.requestStop(stop{Reason: fmt.Sprintf("apply did not finish within %s and was stopped", limit), Timeout: true})
	}
	switch {
	case asked.Interrupted.IsZero():
		s.log.Info("Terraform asked to stop", "reason", asked.Reason)
		asked.Interrupted = now
		return errors.Join(s.dir.write(stopFile, asked), terraform.signal(syscall.SIGINT))
	case asked.Again.IsZero() && now.Sub(asked.Interrupted) > s.rec.Patience.Interrupt:
		s.log.Warn("Terraform asked again to stop")
		asked.Again = now
		return errors.Join(s.dir.write(stopFile, asked), terraform.signal(syscall.SIGINT))
	case !asked.Again.IsZero() && asked.Killed.IsZero() && now.Sub(asked.Again) > s.rec.Patience.Kill:
		s.log.Error("Terraform killed: it did not stop")
		asked.Killed = now
		return errors.Join(s.dir.write(stopFile, asked), terraform.kill())
	}
	return nil
}

// renew keeps the lease until ctx ends. Losing it does not stop Terraform: no
// one else is given the run while it may be applying.
func (s *supervisor) renew(ctx context.Context) {
	lost := false
	for {
		call, done := context.WithTimeout(ctx, s.rec.Patience.Call)
		lease, err := s.client.Renew(call, s.rec.Claim.RunID, s.rec.Claim.Token)
		done()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && provision.KindOf(err) == provision.Conflict:
			if !lost {
				s.log.Warn("lease lost during apply; Terraform goes on", "err", err)
			}
			lost = true
		case err != nil:
			s.log.Warn("lease not renewed", "err", err)
		case lease.Cancel != "":
			if err := s.dir.requestStop(stop{Reason: lease.Cancel}); err != nil {
				s.log.Error("cancel not passed on", "err", err)
			}
		}
		if !pause(ctx, s.rec.Patience.Renew) {
			return
		}
	}
}
