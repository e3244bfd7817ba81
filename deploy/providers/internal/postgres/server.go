package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// oldestServer is the first version whose public schema is closed to PUBLIC
// for writing; a read-only role would not be read-only before it.
const oldestServer = 15

// server is where a provider configuration connects to. Every operation has a
// connection of its own: a session lock then ends with it, whatever happens.
type server struct{ config *pgx.ConnConfig }

func newServer(dsn string) (*server, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The cause quotes the string, and hides the password only where it can tell which part that is.
		return nil, errors.New("expected postgres://user:password@host:5432/postgres or host=… user=… password=… dbname=…; the text itself is not shown, since it holds a password")
	}
	config.RuntimeParams["application_name"] = "terraform-provider-postgres"
	// Literals are quoted for these two settings, whatever the server's defaults are.
	config.RuntimeParams["standard_conforming_strings"] = "on"
	config.RuntimeParams["client_encoding"] = "UTF8"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	return &server{config: config}, nil
}

// withSession runs do on a fresh connection and closes it afterwards.
func (s *server) withSession(ctx context.Context, do func(*session) error) error {
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL at %s:%d: %w", s.config.Host, s.config.Port, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if version := conn.PgConn().ParameterStatus("server_version"); tooOld(version) {
		return fmt.Errorf("the server runs PostgreSQL %s; version %d or newer is needed, since older ones let every role create tables in the public schema", version, oldestServer)
	}
	return do(&session{querier: conn, conn: conn})
}

// tooOld tells whether a server_version such as "14.2 (Debian)" is below
// oldestServer. One that it cannot read is taken for a newer one.
func tooOld(version string) bool {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	major, err := strconv.Atoi(version[:end])
	return err == nil && major < oldestServer
}

type querier interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// session is one connection, or the transaction that is open on it.
type session struct {
	querier
	conn *pgx.Conn
}

// patiently does what may be repeated again while another session changes the
// same row of PostgreSQL's own catalogues, which it answers as an internal error
// instead of waiting: a role's right to a database, and that database's end.
func patiently(do func() error) error {
	const most = 10
	err := do()
	for try := 1; try < most && concurrent(err); try++ {
		err = do()
	}
	return err
}

func concurrent(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "XX000" && strings.HasPrefix(refused.Message, "tuple concurrently ")
}

// inTx runs do in a transaction, which is undone if do returns an error.
func (s *session) inTx(ctx context.Context, do func(*session) error) error {
	return pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		return do(&session{querier: tx, conn: s.conn})
	})
}

// lock makes others who lock the same thing wait until this connection ends.
// The server keeps a killed provider's statement running, so its successor
// waits here until that one is through, and then sees what it made.
func (s *session) lock(ctx context.Context, kind, name string) error {
	h := fnv.New64a()
	_, _ = h.Write([]byte("roadbed/postgres\x00" + kind + "\x00" + name))
	_, err := s.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(h.Sum64()))
	return err
}

// exec runs one statement that takes no parameters, which is true of all DDL.
func (s *session) exec(ctx context.Context, words ...string) error {
	_, err := s.conn.Exec(ctx, strings.Join(words, " "))
	return err
}

// ident quotes a name for use in a statement.
func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a text for use in a statement. It relies on the settings that
// newServer asks for.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// comment is the text of a COMMENT ON statement; an empty one removes it.
func comment(text string) string {
	if text == "" {
		return "NULL"
	}
	return literal(text)
}

// explain renders an error for a person, with the server's own detail and
// hint, which name what still depends on an object.
func explain(err error) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err.Error()
	}
	text := pgErr.Message
	for _, more := range []string{pgErr.Detail, pgErr.Hint} {
		if more != "" {
			text += "\n" + more
		}
	}
	return text
}

// foreignError says that a name is taken by an object that is not ours.
type foreignError struct{ kind, name, found, want string }

func (e *foreignError) Error() string {
	found, kind := "no comment", strings.ToLower(e.kind)
	if e.found != "" {
		found = fmt.Sprintf("the comment %q", e.found)
	}
	want := "this resource has no comment to know it by"
	if e.want != "" {
		want = fmt.Sprintf("ours would carry %q", e.want)
	}
	return fmt.Sprintf("The %s %q is on the server already and is not ours: it carries %s, and %s. It was left as it is. "+
		"Choose another name, or take it over on purpose with terraform import.", kind, e.name, found, want)
}

// claim decides whether an existing object may be taken up as ours.
func claim(kind, name, found, want string) error {
	if want != "" && found == want {
		return nil
	}
	return &foreignError{kind: kind, name: name, found: found, want: want}
}

// wait blocks for a delay such as "30s", or until ctx ends. An empty delay is none.
func wait(ctx context.Context, delay string) error {
	if delay == "" {
		return nil
	}
	d, err := time.ParseDuration(delay)
	if err != nil {
		return fmt.Errorf("create_delay %q is not a duration such as 30s", delay)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted during create_delay, before anything was made: %w", ctx.Err())
	}
}
