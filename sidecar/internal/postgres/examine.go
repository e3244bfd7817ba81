package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Condition is how a server stands that a database is on.
type Condition struct {
	Version           string // such as 16.4
	VersionNumber     int    // such as 160004
	User              string
	ReadOnly          bool          // it is a standby, or takes no writes
	SynchronousCommit string        // off loses what was answered as committed
	Fsync             string        // likewise
	MaxConnections    int           // of everybody together
	Skew              time.Duration // its clock less ours; exact to half the round trip
	MakesDatabases    bool          // the user may
	MakesRoles        bool
}

// Examine asks the server at dsn how it stands. It blocks for at most 5 s; its
// error names the host, and no password.
func Examine(ctx context.Context, dsn string) (Condition, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return Condition{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // nothing depends on how it ends
	var c Condition
	var now time.Time
	asked := time.Now()
	err = conn.QueryRow(ctx, `
		SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_user::text,
		       pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, current_setting('synchronous_commit'),
		       current_setting('fsync'), current_setting('max_connections')::int, clock_timestamp(),
		       r.rolcreatedb OR r.rolsuper, r.rolcreaterole OR r.rolsuper
		  FROM pg_roles r WHERE r.rolname = current_user`).Scan(
		&c.Version, &c.VersionNumber, &c.User, &c.ReadOnly, &c.SynchronousCommit, &c.Fsync, &c.MaxConnections, &now, &c.MakesDatabases, &c.MakesRoles)
	if err != nil {
		return Condition{}, fmt.Errorf("ask the server how it stands: %w", err)
	}
	c.Skew = now.Sub(asked.Add(time.Since(asked) / 2))
	return c, nil
}
