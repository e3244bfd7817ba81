package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// launchVariable marks the process that is to become Terraform.
const launchVariable = "ROADBED_LAUNCH"

// Exit codes of the shim that are not Terraform's.
const (
	exitNotStarted = 71 // Terraform could not be started
	exitStarted    = 73 // another process of this run has become Terraform
	exitDetached   = 75 // Terraform goes on without us
)

// mostStarts is how many supervisors are started that end before Terraform has
// begun; they are a second apart.
const mostStarts = 10

// IsShim reports whether this process was started in Terraform's place, given
// its os.Args[0]. The program's main must ask before anything else, and then
// end with ShimMain's code.
func IsShim(argv0 string) bool {
	return filepath.IsAbs(argv0) && filepath.Base(argv0) == filepath.Base(shimLink) && runOf(argv0).has(recordFile)
}

func runOf(argv0 string) directory { return directory(filepath.Dir(filepath.Dir(argv0))) }

// ShimMain is Terraform as terraform-exec sees it. `version` is answered from
// the run's record and any other command becomes the real Terraform, but
// `apply` is started under a supervisor that outlives this process, and is
// shown until it ends. It may be called again for the same run, also when its
// apply is under way or over: Terraform is not started twice. It returns
// Terraform's exit code, 1 when Terraform was killed.
func ShimMain(args []string) int {
	d := runOf(args[0])
	rec, err := d.record()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNotStarted
	}
	command := ""
	if len(args) > 1 {
		command = args[1]
	}
	switch {
	case os.Getenv(launchVariable) != "":
		return becomeTerraform(d, rec, args)
	case command == "version" && slices.Contains(args, "-json"):
		fmt.Printf("{\"terraform_version\":%q,\"provider_selections\":{}}\n", rec.Version)
		return 0
	case command == "apply":
		return showApply(d, rec, args[1:])
	}
	return replace(rec.Terraform, args[1:], os.Environ())
}

// becomeTerraform puts this process on disk as the run's only Terraform and
// then becomes it.
func becomeTerraform(d directory, rec record, args []string) int {
	me, err := self()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNotStarted
	}
	made, err := d.create(processFile, launched{me, time.Now()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNotStarted
	}
	if !made {
		return exitStarted
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, launchVariable+"=") })
	return replace(rec.Terraform, args[1:], env)
}

func replace(path string, args, env []string) int {
	err := syscall.Exec(path, append([]string{path}, args...), env)
	fmt.Fprintf(os.Stderr, "start %s: %v\n", path, err)
	return exitNotStarted
}

func showApply(d directory, rec record, args []string) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if _, err := d.create(applyFile, args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNotStarted
	}
	events, err := os.OpenFile(d.path(eventsFile), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitNotStarted
	}
	defer events.Close()
	var started time.Time
	starts := 0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		// Whether it has ended is asked before its words are copied, so that
		// none of them is missed.
		var ended exit
		over, err := d.read(exitFile, &ended)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		_, _ = io.Copy(os.Stdout, events) // nobody reads any more: Terraform goes on all the same
		if over {
			if ended.Code < 0 {
				return 1
			}
			return ended.Code
		}
		if time.Since(started) > time.Second && !d.locked(supervisorLock) {
			if starts++; starts > mostStarts && giveUp(d) {
				continue
			}
			if err := startSupervisor(d, rec); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			started = time.Now()
		}
		select {
		case <-signals:
			if d.has(detachFile) {
				return exitDetached
			}
			if err := d.requestStop(stop{Reason: "interrupted"}); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		case <-tick.C:
		}
	}
}

// giveUp ends an apply that no supervisor could begin: it takes the name of
// Terraform's process, so that none can begin any more. It is false when one
// has begun.
func giveUp(d directory) bool {
	made, err := d.create(processFile, launched{At: time.Now()})
	if err == nil && made {
		err = d.write(exitFile, exit{Code: exitNotStarted, At: time.Now()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return made && err == nil
}

// startSupervisor starts `supervise` in a session of its own, so that neither
// our death nor a terminal's Ctrl-C reaches it.
func startSupervisor(d directory, rec record) error {
	log, err := os.OpenFile(d.path(supervisorLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(rec.Self, "supervise", string(d))
	cmd.Dir, cmd.Stdout, cmd.Stderr = string(d), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	go func() { _ = cmd.Wait() }() // only so that it is buried
	return nil
}
