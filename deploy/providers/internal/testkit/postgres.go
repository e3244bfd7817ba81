// Package testkit starts what the providers are tested against: a PostgreSQL
// server, a provider mirror and the terraform binary, all of them real. It is
// for tests only, and knows nothing of what they test.
package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTime bounds the start of a server on a busy machine.
const startTime = 60 * time.Second

// nobody is the user that the server runs as when the tests run as root, whom
// PostgreSQL refuses.
const nobody = 65534

// Postgres is a server of its own, on a free port of the loopback address,
// that checks passwords.
type Postgres struct {
	// DSN connects as the superuser, to the database postgres.
	DSN  string
	Host string
	Port int

	cmd    *exec.Cmd
	exited chan error
	dir    string
}

// StartPostgres makes a cluster and starts it. It blocks until the server
// answers. Stop must be called.
func StartPostgres() (*Postgres, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, err
	}
	p := &Postgres{Host: "127.0.0.1", dir: dir}
	if err := p.start(bin); err != nil {
		p.Stop()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return p, nil
}

func (p *Postgres) start(bin string) error {
	const password = "superuser-password"
	passwordFile := filepath.Join(p.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		for _, path := range []string{p.dir, passwordFile} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				return err
			}
		}
	}
	data := filepath.Join(p.dir, "data")
	initdb := unprivileged(exec.Command(filepath.Join(bin, "initdb"), "--pgdata", data, "--username=postgres",
		"--auth=scram-sha-256", "--pwfile", passwordFile, "--encoding=UTF8", "--locale=C", "--no-sync"))
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// A free port may be taken by somebody else before the server has it.
	var errs []error
	for range 5 {
		err := p.serve(bin, data, password)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (p *Postgres) serve(bin, data, password string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(p.Host, "0"))
	if err != nil {
		return err
	}
	p.Port = listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = unprivileged(exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-h", p.Host, "-p", fmt.Sprint(p.Port),
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "log_statement=all", "-c", "max_connections=100"))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return err
	}
	p.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) { exited <- cmd.Wait() }(p.cmd, p.exited)
	p.DSN = p.dsn("postgres", password, "postgres")

	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, p.DSN)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case err := <-p.exited:
			p.cmd = nil
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the server ended: %w\n%s", err, text)
		case <-ctx.Done():
			return err
		}
	}
}

// Log returns what the server has logged: every statement among it.
func (p *Postgres) Log() (string, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text), err
}

// As returns the connection string of another role and database.
func (p *Postgres) As(user, password, database string) string { return p.dsn(user, password, database) }

func (p *Postgres) dsn(user, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(user, password),
		Host:     net.JoinHostPort(p.Host, fmt.Sprint(p.Port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Stop ends the server at once and removes its files. It may be called twice.
func (p *Postgres) Stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-p.exited:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		p.cmd = nil
	}
	_ = os.RemoveAll(p.dir)
}

// unprivileged gives the command a user that PostgreSQL accepts, and ends it
// with the tests.
func unprivileged(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// binaries returns the directory that holds initdb and postgres: the PATH's,
// or the newest of the distribution's.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(real), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("initdb is neither on PATH nor in /usr/lib/postgresql/*/bin: install the PostgreSQL server")
	}
	newest := found[0]
	for _, path := range found[1:] {
		if len(path) > len(newest) || len(path) == len(newest) && strings.Compare(path, newest) > 0 {
			newest = path
		}
	}
	return filepath.Dir(newest), nil
}
