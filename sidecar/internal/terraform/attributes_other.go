//go:build !linux

package terraform

import "syscall"

// childAttributes are for a process that should not outlive the worker, which
// only Linux can see to.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
