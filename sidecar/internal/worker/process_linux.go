package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// startTime is when a process began, in ticks since which boot; alive is
// false for one that is gone or that only waits to be buried.
func startTime(id int) (started string, alive bool, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read the state of process %d: %w", id, err)
	}
	// The name, in parentheses, may itself hold spaces and parentheses.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 20 {
		return "", false, fmt.Errorf("read the state of process %d: %d fields", id, len(fields))
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // empty where it is hidden
	return strings.TrimSpace(string(boot)) + ":" + fields[19], fields[0] != "Z" && fields[0] != "X", nil
}
