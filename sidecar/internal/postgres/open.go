package postgres

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Store implements provision.Store. It may be used from many goroutines.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	bundles sync.Map // digest -> bundle
	hub     hub
	notable func(provision.Event) bool // may be nil
	bucket  Bucket                     // may be nil
}

var _ provision.Store = (*Store)(nil)

// Options are what a Store may be told; the zero value is right for a sidecar.
type Options struct {
	MaxConnections int32                      // 0 is 16
	Notable        func(provision.Event) bool // whether anyone is to be told of an event; nil is of none
	Bucket         Bucket                     // where the bytes of states are kept; nil keeps them in the database
	Timeout        time.Duration              // how long one call may take, whatever became of the network; 0 is 10 s
}

// Open makes a Store on the database at dsn. It does not wait for the database:
// while that is down, every method answers Unavailable, and works again once it
// is back. A connection string that cannot be read is Invalid.
func Open(dsn string, o Options) (*Store, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "the database's connection string cannot be read: it must look like postgres://user@host:5432/roadbed")
	}
	config.MaxConns = 16
	if o.MaxConnections > 0 {
		config.MaxConns = o.MaxConnections
	}
	config.MaxConnLifetime = 30 * time.Minute
	config.MaxConnLifetimeJitter = 3 * time.Minute
	config.HealthCheckPeriod = 30 * time.Second
	config.ConnConfig.ConnectTimeout = 3 * time.Second
	for name, value := range map[string]string{
		"application_name":                    "roadbed",
		"statement_timeout":                   "5s",
		"lock_timeout":                        "2s",
		"idle_in_transaction_session_timeout": "10s",
		"timezone":                            "UTC",
		"jit":                                 "off", // compiling takes longer than our statements
	} {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = inUTC
	pool, err := pgxpool.NewWithConfig(context.Background(), config) // dials nothing yet
	if err != nil {
		return nil, fault(err, "make the connection pool")
	}
	return &Store{pool: pool, notable: o.Notable, bucket: o.Bucket, timeout: cmp.Or(o.Timeout, 10*time.Second)}, nil
}

// bounded ends a call that gets no answer: the server's own timeouts do not
// help where its words no longer arrive.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}

// inUTC makes times scan as UTC, as the domain has them.
func inUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

// Close ends the store's connections once the calls in hand are done.
func (s *Store) Close() { s.pool.Close() }

// Ping is nil when the database answers; else Unavailable.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return fault(s.pool.Ping(ctx), "ping")
}

// one runs a query that yields one row and collects it; missing is what to say
// when there is none.
func one[T any](ctx context.Context, db querier, missing string, id any, sql string, args pgx.NamedArgs) (T, error) {
	rows, _ := db.Query(ctx, sql, args) // pgx returns the error again from collecting
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if isNoRows(err) {
		return row, provision.Errorf(provision.NotFound, "there is no %s %s", missing, id)
	}
	return row, fault(err, "read "+missing)
}

// many runs a query and collects its rows; none is an empty slice.
func many[T any](ctx context.Context, db querier, what, sql string, args pgx.NamedArgs) ([]T, error) {
	rows, _ := db.Query(ctx, sql, args) // pgx returns the error again from collecting
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	return found, fault(err, "list "+what)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}
