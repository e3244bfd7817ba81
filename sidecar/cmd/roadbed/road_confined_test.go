package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestTerraformIsConfined looks from where Terraform stands: at its environment,
// its limits and its session, while it plans and while it applies.
func TestTerraformIsConfined(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	text, err := os.ReadFile(r.path("terraform"))
	if err != nil {
		t.Fatal(err)
	}
	look := fmt.Sprintf("env > %[1]s/env-$1\ncat /proc/self/limits > %[1]s/limits-$1\ncat /proc/$$/stat > %[1]s/stat-$1\nexec ", r.dir)
	r.write("terraform", strings.Replace(string(text), "exec ", look, 1))
	worker := r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)

	allowed := regexp.MustCompile(`^(PATH|HOME|TMPDIR|PWD|SHLVL|_|OLDPWD|CHECKPOINT_DISABLE|TF_[A-Z_]+|ROADBED_POSTGRES_DSN)=`)
	for _, command := range []string{"init", "plan", "apply"} {
		for line := range strings.Lines(r.read("env-" + command)) {
			if !allowed.MatchString(line) {
				t.Errorf("%s sees %s", command, line)
			}
			if command == "init" && strings.HasPrefix(line, "ROADBED_") {
				t.Errorf("init, which downloads, sees %s", line)
			}
		}
		limits := r.read("limits-" + command)
		for what, most := range map[string]uint64{"Max core file size": 0, "Max file size": 1 << 30, "Max open files": 4096, "Max data size": 4 << 30} {
			match := regexp.MustCompile(what + `\s+(\S+)\s+(\S+)`).FindStringSubmatch(limits)
			for _, value := range match[1:] {
				if n, err := strconv.ParseUint(value, 10, 64); err != nil || n > most {
					t.Errorf("%s has %s %s, want at most %d", command, what, value, most)
				}
			}
		}
	}
	group, session := r.groupOf("stat-apply")
	if mine := r.processStat(worker.cmd.Process.Pid); slices.Contains(mine, session) || slices.Contains(mine, group) {
		t.Errorf("apply is in group %s and session %s, the worker's are %v", group, session, mine)
	}
	if planGroup, _ := r.groupOf("stat-plan"); slices.Contains(r.processStat(worker.cmd.Process.Pid), planGroup) {
		t.Errorf("plan is in the worker's process group %s", planGroup)
	}
}

func (r *road) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// groupOf is the process group and the session in a process's stat.
func (r *road) groupOf(file string) (group, session string) {
	r.t.Helper()
	fields := strings.Fields(r.read(file)[strings.LastIndexByte(r.read(file), ')')+1:])
	return fields[2], fields[3]
}

func (r *road) processStat(pid int) []string {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))[2:4]
}
