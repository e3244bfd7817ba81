package terraform

import "syscall"

// childAttributes are for a process that must not outlive the worker: a
// half-done init is done again, and nobody would look after an orphan.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
