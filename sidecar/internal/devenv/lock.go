package devenv

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const pidFile = "dev.pid"

// Lock makes this process the one that runs on the site's folder. An error
// names the process that already does. The lock goes with the process.
func (s *Site) Lock() (unlock func(), err error) {
	f, err := os.OpenFile(s.Path(pidFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		pid, _ := s.Running()
		return nil, s.taken(pid)
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("write lock: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return nil, fmt.Errorf("write lock: %w", err)
	}
	return func() { f.Close() }, nil
}

func (s *Site) taken(pid int) error {
	return fmt.Errorf("process %d already runs on %s; stop it with `roadbed dev --data %s --stop`, or take another folder", pid, s.Dir, s.Dir)
}

// Running is the process that runs on the site's folder, if one does.
func (s *Site) Running() (pid int, running bool) {
	f, err := os.OpenFile(s.Path(pidFile), os.O_RDWR, 0)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return 0, false
	}
	text, err := os.ReadFile(s.Path(pidFile))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil
}
