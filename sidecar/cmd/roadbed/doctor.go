package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

type doctorCommand struct {
	Server doctorServerCommand `cmd:"" help:"Check all that roadbed serve needs. Takes its flags and environment."`
	Worker doctorWorkerCommand `cmd:"" help:"Check all that roadbed worker needs. Takes its flags and environment."`
}

// The marks of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn" // it runs without, or not as well
	checkFail = "fail"
)

// check is one thing that must be right.
type check struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
	WayOut  string `json:"way_out,omitempty"` // what to do, with the exact lines
}

// examination is what was looked at, in order.
type examination []check

func (e *examination) ok(name, format string, args ...any) {
	*e = append(*e, check{Name: name, Status: checkOK, Message: fmt.Sprintf(format, args...)})
}

func (e *examination) warn(name, wayOut, format string, args ...any) {
	*e = append(*e, check{name, checkWarn, fmt.Sprintf(format, args...), wayOut})
}

func (e *examination) fail(name, wayOut, format string, args ...any) {
	*e = append(*e, check{name, checkFail, fmt.Sprintf(format, args...), wayOut})
}

// report prints the checks; its error says how many fail, nil when none does.
func (e examination) report(out io.Writer, asJSON bool) error {
	failed := 0
	for _, c := range e {
		if c.Status == checkFail {
			failed++
		}
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"checks": e, "failed": failed}); err != nil {
			return err
		}
	} else {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, c := range e {
			fmt.Fprintf(table, "%s\t%s\t%s\n", c.Status, c.Name, c.Message)
			for line := range strings.Lines(c.WayOut) {
				fmt.Fprintf(table, "\t\t→ %s\n", strings.TrimRight(line, "\n"))
			}
		}
		_ = table.Flush() // out is the terminal; nothing to do
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks fail", failed, len(e))
	}
	return nil
}

const (
	oldestPostgres = 140000
	// skewed is how far two clocks may be apart before tokens and leases notice.
	skewed, farSkewed = time.Second, 30 * time.Second
)

// examineDatabase looks at the server of Roadbed's own database.
func (e *examination) examineDatabase(ctx context.Context, dsn string) {
	c, err := postgres.Examine(ctx, dsn)
	if err != nil {
		e.fail("database", "start PostgreSQL, or correct ROADBED_DATABASE_URL", "cannot be reached: %v", oneLineOf(err))
		return
	}
	if c.VersionNumber < oldestPostgres {
		e.fail("database", "upgrade it to PostgreSQL 14 or newer", "PostgreSQL %s is too old", c.Version)
	} else {
		e.ok("database", "PostgreSQL %s answers", c.Version)
	}
	if c.ReadOnly {
		e.fail("database writes", "give the primary's address in ROADBED_DATABASE_URL", "it takes no writes: it is a standby or read-only")
	}
	setting := func(name, value string) {
		if value == "off" {
			e.fail("database "+name, fmt.Sprintf("ALTER SYSTEM SET %s = on; SELECT pg_reload_conf();", name), "%s is off: a crash would lose what was answered as accepted", name)
		} else {
			e.ok("database "+name, "%s is %s", name, value)
		}
	}
	setting("synchronous_commit", c.SynchronousCommit)
	setting("fsync", c.Fsync)
	const needed = 20 // of each sidecar, with those for migrations and people
	if c.MaxConnections < needed {
		e.warn("database connections", fmt.Sprintf("ALTER SYSTEM SET max_connections = %d; then restart it", 5*needed), "max_connections is %d; a sidecar takes up to %d", c.MaxConnections, needed)
	}
	e.clock("database clock", c.Skew)
	if err := postgres.CheckSchema(ctx, dsn); err != nil {
		e.fail("database schema", "roadbed migrate", "%v", oneLineOf(err))
	} else {
		e.ok("database schema", "has every migration")
	}
}

func (e *examination) clock(name string, skew time.Duration) {
	apart := skew.Abs().Round(time.Millisecond)
	const wayOut = "run an NTP client such as chrony on both machines"
	switch {
	case apart >= farSkewed:
		e.fail(name, wayOut, "is %s from this machine's: tokens and leases would end at the wrong time", apart)
	case apart >= skewed:
		e.warn(name, wayOut, "is %s from this machine's", apart)
	default:
		e.ok(name, "agrees with this machine's within %s", apart.Round(time.Millisecond)+time.Millisecond)
	}
}

// examineNATS says how NATS stands; who makes the streams lacks none.
func (e *examination) examineNATS(c queue.Condition, err error, makesStreams bool) {
	if err != nil {
		e.fail("nats", "start NATS, or correct ROADBED_NATS_URL and the user in it", "cannot be reached: %v", oneLineOf(err))
		return
	}
	e.ok("nats", "NATS %s answers", c.Version)
	if len(c.Refused) > 0 {
		e.fail("nats permissions", "give the server the users.conf that roadbed keys nats writes, which lets this user:\n"+strings.Join(c.Refused, "\n"), "its user may not do %d of the things that it needs", len(c.Refused))
		return
	}
	e.ok("nats permissions", "its user may publish and hear all that it needs")
	if c.JetStream != nil {
		e.fail("nats jetstream", "in the server's configuration:\njetstream { store_dir: /data/nats }\nand the user that roadbed keys nats prints", "JetStream cannot be used: %v", oneLineOf(c.JetStream))
		return
	}
	switch {
	case len(c.Missing) > 0 && !makesStreams:
		e.fail("nats streams", "start roadbed serve, which makes them", "missing: %s", strings.Join(c.Missing, ", "))
	case len(c.Missing) > 0:
		e.warn("nats streams", "roadbed serve makes them when it starts", "missing: %s", strings.Join(c.Missing, ", "))
	case len(c.Differing) > 0:
		e.warn("nats streams", "roadbed serve mends them when it starts", "not as Roadbed has them: %s", strings.Join(c.Differing, ", "))
	default:
		e.ok("nats streams", "all there")
	}
	if len(c.Single) > 0 {
		e.warn("nats copies", "restart roadbed serve with the cluster up: it brings streams to --nats-replicas", "fewer copies than were asked for: %s", strings.Join(c.Single, ", "))
	}
	if len(c.InMemory) > 0 {
		e.fail("nats storage", "nats stream rm "+strings.Join(c.InMemory, " "+"\nnats stream rm ")+"\nthen restart roadbed serve, which makes them on disk", "kept in memory only: %s", strings.Join(c.InMemory, ", "))
	}
}

// private looks whether others than its owner, and than a group that it was
// given to, can read a secret's file.
func (e *examination) private(name, file string) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // whoever needs it says so
	case err != nil:
		e.fail(name, "give Roadbed's user the right to read "+file, "%v", err)
	case exposed(info.Mode().Perm(), owned(info)):
		e.fail(name, "chmod 600 "+file, "%s is open to others (%04o)", filepath.Base(file), info.Mode().Perm())
	}
}

// exposed reports whether a secret's file is open to others. What belongs to
// somebody else and is ours to read by its group, as Kubernetes mounts secrets, is
// not.
func exposed(mode fs.FileMode, ours bool) bool {
	return mode&0o027 != 0 || ours && mode&0o070 != 0
}

// owned reports whether a file is this user's own.
func owned(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == os.Geteuid()
}

// oneLineOf is an error in one line.
func oneLineOf(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
