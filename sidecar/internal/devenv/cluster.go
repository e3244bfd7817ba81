package devenv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// postgresUID is who Postgres runs as when we are root, which it refuses to be:
// "nobody", whose id is the same on every Linux and owns nothing.
const postgresUID = 65534

// ClusterConfig says where a private Postgres keeps its data.
type ClusterConfig struct {
	Dir      string            // made when absent; its data is used again when present
	Port     int               // tried first; 0 is any free one
	Settings map[string]string // of postgresql.conf, over our own; nil is none
	Log      *slog.Logger      // nil is silence
}

// Cluster is a private Postgres server on a random port of 127.0.0.1. Its one
// role has a random password, kept beside the data with mode 0600.
type Cluster struct {
	config   ClusterConfig
	bin      string
	data     string
	password string
	port     int
	server   *exec.Cmd
	lifeline io.Closer     // closing it, or dying, stops the server
	exited   chan struct{} // closed when the server has exited
}

// StartCluster starts a private Postgres in config.Dir and returns once it
// answers. A server that an earlier, killed process left on the same data is
// stopped first. The server does not outlive this process. An Unavailable error
// says what is missing on this machine.
func StartCluster(ctx context.Context, config ClusterConfig) (*Cluster, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("find cluster directory %s: %w", config.Dir, err)
	}
	c := &Cluster{config: config, bin: bin, data: filepath.Join(dir, "data"), port: config.Port}
	if err := c.prepare(ctx, dir); err != nil {
		return nil, err
	}
	return c, c.Start(ctx)
}

// DSN is the connection string of a database of the cluster.
func (c *Cluster) DSN(database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword("roadbed", c.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

// Start starts a cluster that was stopped, on the port it had if that is free.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.stopStale(ctx); err != nil {
		return err
	}
	// The free port may be taken between our look and Postgres' bind.
	for attempt := 0; ; attempt++ {
		if attempt > 0 || c.port == 0 {
			port, err := clusterPort()
			if err != nil {
				return err
			}
			c.port = port
		}
		err := c.launch(ctx)
		if err == nil || attempt == 3 || ctx.Err() != nil {
			return err
		}
	}
}

// Stop stops the server: it ends every session and writes all out. It may be
// called twice. The data stays.
func (c *Cluster) Stop() {
	if c.server == nil {
		return
	}
	_ = c.server.Process.Signal(syscall.SIGINT) // "fast shutdown"
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		_ = c.server.Process.Signal(syscall.SIGQUIT) // "immediate": recovers from its log at next start
		<-c.exited
	}
	_ = c.lifeline.Close()
	c.server = nil
}

// prepare makes the data directory on first use and reads the password.
func (c *Cluster) prepare(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("make cluster directory: %w", err)
	}
	secret := filepath.Join(dir, "password")
	if password, err := os.ReadFile(secret); err == nil {
		if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
			c.password = string(password)
			return nil
		}
	}
	// Half an initdb is no cluster: begin again.
	if err := os.RemoveAll(c.data); err != nil {
		return fmt.Errorf("clear cluster data: %w", err)
	}
	if err := os.Mkdir(c.data, 0o700); err != nil {
		return fmt.Errorf("make cluster data: %w", err)
	}
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails: it ends the process instead
	c.password = hex.EncodeToString(random)
	if err := os.WriteFile(secret, []byte(c.password), 0o600); err != nil {
		return fmt.Errorf("keep cluster password: %w", err)
	}
	if os.Geteuid() == 0 {
		for _, path := range []string{c.data, secret} {
			if err := os.Chown(path, postgresUID, postgresUID); err != nil {
				return fmt.Errorf("give cluster to its user: %w", err)
			}
		}
	}
	if out, err := c.command(ctx, "test", "-r", secret).CombinedOutput(); err != nil {
		return provision.Errorf(provision.Unavailable,
			"Postgres refuses to run as root and its user (uid %d) cannot enter %s%s; run as another user or keep the data where others may enter, like /var/lib/roadbed",
			postgresUID, dir, strings.TrimSpace(string(out)))
	}
	initdb := c.command(ctx, filepath.Join(c.bin, "initdb"), "--pgdata="+c.data, "--username=roadbed", "--pwfile="+secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", dir, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (c *Cluster) launch(ctx context.Context) error {
	settings := map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(c.port), "unix_socket_directories": "",
		"max_connections": "100", "log_min_messages": "warning", "timezone": "UTC",
	}
	for name, value := range c.config.Settings {
		settings[name] = value
	}
	args := []string{"-D", c.data}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	server := c.command(context.WithoutCancel(ctx), filepath.Join(c.bin, "postgres"), args...)
	server.Stderr = lineWriter{c.config.Log}
	if err := server.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = server.Wait()
		close(exited)
	}()
	lifeline, err := c.tie(ctx, server.Process.Pid)
	if err != nil {
		_ = server.Process.Kill()
		<-exited
		return err
	}
	c.server, c.exited, c.lifeline = server, exited, lifeline
	if err := c.await(ctx); err != nil {
		c.Stop()
		return err
	}
	c.config.Log.Info("postgres started", "data", c.data, "port", c.port)
	return nil
}

// tie makes the server stop when we die, however that happens: a shell waits on
// a pipe of which only we hold the other end.
func (c *Cluster) tie(ctx context.Context, pid int) (io.Closer, error) {
	watch := c.command(context.WithoutCancel(ctx), "/bin/sh", "-c", `read _; kill -INT "$1" 2>/dev/null`, "sh", strconv.Itoa(pid))
	lifeline, err := watch.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make the server's lifeline: %w", err)
	}
	if err := watch.Start(); err != nil {
		return nil, fmt.Errorf("watch the server's lifeline: %w", err)
	}
	go func() { _ = watch.Wait() }()
	return lifeline, nil
}

// await returns once the server answers as ours.
func (c *Cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	beat := time.NewTicker(20 * time.Millisecond)
	defer beat.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.exited:
			return fmt.Errorf("postgres exited at start; its log says why (data in %s)", c.data)
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w", errors.Join(ctx.Err(), err))
		case <-beat.C:
		}
	}
}

// stopStale stops a server that still runs on our data without us.
func (c *Cluster) stopStale(ctx context.Context) error {
	pidFile, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return nil // nothing runs there
	}
	lines := strings.Split(string(pidFile), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || len(lines) < 2 || strings.TrimSpace(lines[1]) != c.data || !isPostgres(pid) {
		return nil
	}
	c.config.Log.Warn("stopping a postgres that an earlier run left", "pid", pid, "data", c.data)
	_ = syscall.Kill(pid, syscall.SIGINT)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	beat := time.NewTicker(20 * time.Millisecond)
	defer beat.Stop()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres %d to leave %s: %w", pid, c.data, ctx.Err())
		case <-beat.C:
		}
	}
	return nil
}

// isPostgres guards against a pid that now belongs to something else. Where
// there is no /proc, Postgres itself refuses to start on data that is in use.
func isPostgres(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.HasPrefix(string(name), "postgres")
}

// command runs in a process group of its own, so that an interrupt typed at a
// terminal reaches us alone, and as another user when we are root.
func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: postgresUID, Gid: postgresUID}
	}
	return cmd
}

// postgresBin is the directory of the newest server binaries that we can find.
func postgresBin() (string, error) {
	candidates := []string{os.Getenv("ROADBED_POSTGRES_BIN")}
	if candidates[0] == "" {
		candidates = nil
		if path, err := exec.LookPath("postgres"); err == nil {
			candidates = append(candidates, filepath.Dir(path))
		}
		for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"} {
			found, _ := filepath.Glob(pattern) // the patterns are well formed
			slices.Reverse(found)
			candidates = append(candidates, found...)
		}
	}
	for _, dir := range candidates {
		if isProgram(filepath.Join(dir, "initdb")) && isProgram(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", provision.Errorf(provision.Unavailable,
		"no PostgreSQL server was found on this machine (looked for initdb and postgres on PATH and in /usr/lib/postgresql); install the postgresql package or set ROADBED_POSTGRES_BIN to the directory that has them")
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&fs.FileMode(0o111) != 0
}

func clusterPort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// lineWriter hands what Postgres says to our log.
type lineWriter struct{ log *slog.Logger }

// Write logs each line of p.
func (w lineWriter) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if line = strings.TrimSpace(line); line != "" {
			w.log.Debug("postgres says", "line", line)
		}
	}
	return len(p), nil
}
