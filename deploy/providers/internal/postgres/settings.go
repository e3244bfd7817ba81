package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// settings are the database's, by name.
func (f *databaseFacts) settings() map[string]string {
	m := make(map[string]string, len(f.SettingList))
	for _, setting := range f.SettingList {
		name, value, _ := strings.Cut(setting, "=")
		m[name] = value
	}
	return m
}

// checkSettings tries each setting for the length of one statement and returns
// what the server has against them, by name.
func checkSettings(ctx context.Context, ses *session, settings map[string]string) (map[string]string, error) {
	faults := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		var fixed string
		err := ses.QueryRow(ctx, "SELECT context FROM pg_settings WHERE name = $1", name).Scan(&fixed)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("look up setting %q: %w", name, err)
		}
		switch fixed {
		case "internal", "postmaster", "sighup":
			faults[name] = fmt.Sprintf("%s belongs to the whole server and cannot be set for one database.", name)
			continue
		case "backend", "superuser-backend":
			continue // may be set for a database, but not tried in a session that has begun
		}
		if _, err := ses.Exec(ctx, "SELECT set_config($1, $2, true)", name, settings[name]); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			faults[name] = explain(err)
		}
	}
	return faults, nil
}

// parameter quotes a setting's name, which may have an extension's before it.
func parameter(name string) string {
	extension, rest, qualified := strings.Cut(name, ".")
	if !qualified {
		return ident(name)
	}
	return ident(extension) + "." + ident(rest)
}
