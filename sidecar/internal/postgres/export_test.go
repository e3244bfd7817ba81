package postgres

import (
	"context"
	"io/fs"
)

// MigrateTo is Migrate as the program of an earlier version does it.
func MigrateTo(ctx context.Context, dsn string, version int64) error {
	provider, done, err := migrator(dsn, embedded())
	if err != nil {
		return err
	}
	defer done()
	_, err = provider.UpTo(ctx, version)
	return err
}

// MigrateWith is Migrate as a program with these migrations does it.
func MigrateWith(ctx context.Context, dsn string, files fs.FS) error {
	provider, done, err := migrator(dsn, files)
	if err != nil {
		return err
	}
	defer done()
	_, err = provider.Up(ctx)
	return err
}

// Migrations are those of this program.
var Migrations = embedded()
