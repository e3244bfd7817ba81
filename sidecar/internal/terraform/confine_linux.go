package terraform

import (
	"fmt"
	"syscall"
)

// Confine holds this process, and whatever it starts from now on, to limits that
// nobody can raise again: no core dumps, which would hold secrets, no file over
// 1 GiB, 4096 open files, and memory bytes of data for each process. Limits that
// are lower already stay.
func Confine(memory uint64) error {
	for _, l := range []struct {
		what     string
		resource int
		most     uint64
	}{
		{"core dumps", syscall.RLIMIT_CORE, 0},
		{"file size", syscall.RLIMIT_FSIZE, 1 << 30},
		{"open files", syscall.RLIMIT_NOFILE, 4096},
		{"memory", syscall.RLIMIT_DATA, memory},
	} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.resource, &now); err != nil {
			return fmt.Errorf("read the limit of %s: %w", l.what, err)
		}
		most := min(now.Max, l.most)
		if err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("set the limit of %s to %d: %w", l.what, most, err)
		}
	}
	return nil
}
