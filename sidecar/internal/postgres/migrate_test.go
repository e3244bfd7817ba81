package postgres_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// A managed database gives its users no superuser.
func TestOrdinaryRoleThatOwnsItsDatabaseIsEnough(t *testing.T) {
	t.Parallel()
	dsn, err := url.Parse(testkit.EmptyDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(dsn.Path, "/")
	role := "owner_of_" + database
	conn, err := pgx.Connect(t.Context(), dsn.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'plain'", role), fmt.Sprintf("ALTER DATABASE %s OWNER TO %s", database, role),
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	dsn.User = url.UserPassword(role, "plain")
	if err := postgres.Migrate(t.Context(), dsn.String()); err != nil {
		t.Fatal(err)
	}
	store := openDSN(t, dsn.String())
	all, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	if changes := follow(t, store, all.Cursor, 1); len(changes.Instances) != 1 {
		t.Errorf("%d instances changed, want 1", len(changes.Instances))
	}
}
