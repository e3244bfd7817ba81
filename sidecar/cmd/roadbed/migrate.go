package main

import (
	"context"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
)

type migrateCommand struct {
	Database string `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
}

// Run applies what is missing. It may be repeated, and by several at once.
func (c *migrateCommand) Run(ctx context.Context) error {
	return postgres.Migrate(ctx, c.Database)
}
