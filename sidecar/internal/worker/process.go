package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// process names one process for good: ids are used again, start times with
// them are not.
type process struct {
	ID      int    `json:"pid"`
	Started string `json:"started"`
}

// self is this process; it stays the same across exec.
func self() (process, error) {
	started, alive, err := startTime(os.Getpid())
	if err != nil || !alive {
		return process{}, fmt.Errorf("find the start time of process %d: %w", os.Getpid(), err)
	}
	return process{ID: os.Getpid(), Started: started}, nil
}

// alive reports whether the process still runs; one that nobody has waited for
// does not. A start time that cannot be read counts as alive.
func (p process) alive() bool {
	started, alive, err := startTime(p.ID)
	return err != nil || alive && started == p.Started
}

// signal sends a signal to the process alone. One that is gone is no error.
func (p process) signal(s syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.ID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.ID, err)
	}
	return nil
}

// kill ends the process and its group, the providers among them.
func (p process) kill() error {
	if !p.alive() {
		return nil
	}
	return p.killGroup()
}

// killGroup is kill for a process that may have died just now, while others of
// its group live: they keep its number from being given away.
func (p process) killGroup() error {
	if p.ID <= 0 {
		return nil // it never was one
	}
	if err := syscall.Kill(-p.ID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.ID, err)
	}
	return nil
}

// tryLock locks a file of the directory against every other process. It is
// held until unlock or the end of this process; ok is false when another holds it.
func (d directory) tryLock(name string) (unlock func(), ok bool, err error) {
	file, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("lock %s: %w", name, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, file.Close()
	}
	if err != nil {
		file.Close()
		return nil, false, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { file.Close() }, true, nil
}

// locked reports whether a living process holds the lock.
func (d directory) locked(name string) bool {
	unlock, ok, err := d.tryLock(name)
	if err != nil {
		return false
	}
	if ok {
		unlock()
	}
	return !ok
}

// pause waits, and is false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// retry calls try until it is done, a little more patiently each time. It is
// false when ctx ended first.
func retry(ctx context.Context, least, most time.Duration, try func(context.Context) (done bool)) bool {
	for wait := least; ; wait = min(wait*2, most) {
		if try(ctx) {
			return true
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}
