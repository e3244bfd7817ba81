//go:build !linux

package worker

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// startTime is when a process began, as ps says it; alive is false for one that
// is gone or that only waits to be buried.
func startTime(id int) (started string, alive bool, err error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(id)).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read the state of process %d: %w", id, err)
	}
	state, when, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return strings.TrimSpace(when), state != "" && !strings.HasPrefix(state, "Z"), nil
}
