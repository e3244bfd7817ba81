package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the database at dsn to this program's schema. It may be run
// again and by several processes at once: they take turns. Each migration is
// one transaction. None undoes another: a migration only adds, so that the
// program of the release before works on the new schema, and to roll back is to
// start that program. A database that is down is Unavailable.
func Migrate(ctx context.Context, dsn string) error {
	provider, done, err := migrator(dsn, embedded())
	if err != nil {
		return err
	}
	defer done()
	if _, err := provider.Up(ctx); err != nil {
		return fault(err, "migrate the database")
	}
	return nil
}

// CheckSchema is nil when the database at dsn has every migration of this
// program, and perhaps those of a newer one; else a Conflict that says to run `roadbed migrate`.
func CheckSchema(ctx context.Context, dsn string) error {
	provider, done, err := migrator(dsn, embedded())
	if err != nil {
		return err
	}
	defer done()
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return fault(err, "look for pending migrations")
	}
	if pending {
		return provision.Errorf(provision.Conflict, "the database lacks migrations that this version needs; run `roadbed migrate` first")
	}
	return nil
}

// embedded are the migrations of this program.
func embedded() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder's name is written above
	}
	return files
}

func migrator(dsn string, files fs.FS) (*goose.Provider, func(), error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, provision.Errorf(provision.Invalid, "the database's connection string cannot be read: it must look like postgres://user@host:5432/roadbed")
	}
	// Tries each second for a minute: migrations are short.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, nil, fmt.Errorf("make the migration lock: %w", err)
	}
	db := stdlib.OpenDB(*config)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		_ = db.Close()
		return nil, nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, func() { _ = db.Close() }, nil
}
