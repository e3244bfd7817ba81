package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// everyone is how PUBLIC is written in allow_connect. No role can have this name.
const everyone = "public"

// cleanupTime bounds the removal of a half-made database after an interrupt,
// so that Terraform can still save its state before it is killed.
const cleanupTime = 2 * time.Second

// databaseFacts is a database as the server has it.
type databaseFacts struct {
	Owner           string
	ConnectionLimit int64
	Comment         string   // empty: none
	AllowConnect    []string // besides the owner, sorted; with everyone if PUBLIC may
	SettingList     []string // name=value
	Connectable     bool
}

// databaseWish is a database as it should be.
type databaseWish struct {
	Name            string
	Owner           string
	ConnectionLimit int64
	Comment         string
	AllowConnect    []string // nil: PUBLIC may not, whoever else may stays
	Settings        map[string]string
}

// findDatabase returns nil if there is no such database.
func findDatabase(ctx context.Context, ses *session, name string) (*databaseFacts, error) {
	rows, _ := ses.Query(ctx, `
		SELECT pg_get_userbyid(d.datdba)::text AS owner, d.datconnlimit::bigint AS connection_limit,
		       coalesce(shobj_description(d.oid, 'pg_database'), '') AS comment,
		       ARRAY(SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee)::text END
		               FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
		              WHERE a.privilege_type = 'CONNECT' AND a.grantee <> d.datdba
		              ORDER BY 1) AS allow_connect,
		       coalesce((SELECT s.setconfig FROM pg_db_role_setting s
		                  WHERE s.setdatabase = d.oid AND s.setrole = 0), '{}') AS setting_list,
		       d.datallowconn AS connectable
		  FROM pg_database d
		 WHERE d.datname = @name`, pgx.NamedArgs{"name": name})
	facts, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[databaseFacts])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read database %q: %w", name, err)
	}
	return facts, nil
}

// nascentPrefix begins the names of databases that are being made.
const nascentPrefix = "roadbed_new_"

// nascent is the name that a database has until it is complete. CREATE
// DATABASE cannot be part of a transaction, so a crash can come between it and
// the comment that marks it as ours; under this name the rest is recognised
// and made again. Nobody can connect to it meanwhile.
func nascent(name, comment string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + comment))
	return nascentPrefix + fmt.Sprintf("%x", sum[:8])
}

// createDatabase makes the database, or takes it up if it carries the wanted
// comment. Under its own name it is never seen half-made.
func createDatabase(ctx context.Context, ses *session, want databaseWish) error {
	if err := ses.lock(ctx, "database", want.Name); err != nil {
		return err
	}
	have, err := findDatabase(ctx, ses, want.Name)
	if err != nil {
		return err
	}
	if have != nil {
		if err := claim("Database", want.Name, have.Comment, want.Comment); err != nil {
			return err
		}
		return ses.inTx(ctx, func(tx *session) error { return writeDatabase(ctx, tx, want.Name, have, want) })
	}
	temporary := nascent(want.Name, want.Comment)
	if err := dropNascent(ctx, ses, temporary); err != nil {
		return err
	}
	// template0 is the same on every server, and nobody's connection to it stands in the way.
	if err := ses.exec(ctx, "CREATE DATABASE", ident(temporary), "OWNER", ident(want.Owner), "TEMPLATE template0 ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	return ses.inTx(ctx, func(tx *session) error {
		have, err := findDatabase(ctx, tx, temporary)
		if err != nil {
			return err
		}
		if have == nil {
			return fmt.Errorf("database %q vanished while it was being made", want.Name)
		}
		if err := writeDatabase(ctx, tx, temporary, have, want); err != nil {
			return err
		}
		if err := tx.exec(ctx, "ALTER DATABASE", ident(temporary), "ALLOW_CONNECTIONS true"); err != nil {
			return err
		}
		return tx.exec(ctx, "ALTER DATABASE", ident(temporary), "RENAME TO", ident(want.Name))
	})
}

// updateDatabase changes the database that carries the comment was (empty: any).
func updateDatabase(ctx context.Context, ses *session, want databaseWish, was string) error {
	if err := ses.lock(ctx, "database", want.Name); err != nil {
		return err
	}
	return ses.inTx(ctx, func(tx *session) error {
		have, err := findDatabase(ctx, tx, want.Name)
		if err != nil {
			return err
		}
		if have == nil {
			return fmt.Errorf("database %q is gone since the plan was made; plan again", want.Name)
		}
		if was != "" && have.Comment != was {
			return claim("Database", want.Name, have.Comment, was)
		}
		return writeDatabase(ctx, tx, want.Name, have, want)
	})
}

// writeDatabase makes the database called current what it should be, its name apart.
func writeDatabase(ctx context.Context, tx *session, current string, have *databaseFacts, want databaseWish) error {
	database := "DATABASE " + ident(current)
	if have.Owner != want.Owner {
		if err := tx.exec(ctx, "ALTER", database, "OWNER TO", ident(want.Owner)); err != nil {
			return err
		}
	}
	if err := tx.exec(ctx, "ALTER", database, fmt.Sprintf("CONNECTION LIMIT %d", want.ConnectionLimit)); err != nil {
		return err
	}
	set := have.settings()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, wanted := want.Settings[name]; !wanted {
			if err := tx.exec(ctx, "ALTER", database, "RESET", parameter(name)); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Settings)) {
		if value, is := set[name]; !is || value != want.Settings[name] {
			if err := tx.exec(ctx, "ALTER", database, "SET", parameter(name), "TO", literal(want.Settings[name])); err != nil {
				return err
			}
		}
	}
	if err := writeAccess(ctx, tx, database, have, want); err != nil {
		return err
	}
	return tx.exec(ctx, "COMMENT ON", database, "IS", comment(want.Comment))
}

// writeAccess settles who may connect. The owner always may.
func writeAccess(ctx context.Context, tx *session, database string, have *databaseFacts, want databaseWish) error {
	if err := tx.exec(ctx, "REVOKE ALL ON", database, "FROM PUBLIC"); err != nil {
		return err
	}
	if want.AllowConnect != nil {
		for _, role := range missing(have.AllowConnect, append([]string{everyone, want.Owner}, want.AllowConnect...)) {
			if err := tx.exec(ctx, "REVOKE CONNECT ON", database, "FROM", ident(role)); err != nil {
				return err
			}
		}
	}
	for _, role := range want.AllowConnect {
		grantee := ident(role)
		if role == everyone {
			grantee = "PUBLIC"
		}
		if err := tx.exec(ctx, "GRANT CONNECT ON", database, "TO", grantee); err != nil {
			return err
		}
	}
	return nil
}

// dropDatabase removes the database that carries the comment was (empty: any),
// with the connections to it, and what an interrupted creation of it left.
// before is done first, and nothing is dropped when it fails. A database that is
// gone already is no error.
func dropDatabase(ctx context.Context, ses *session, name, was string, before func() error) error {
	if err := ses.lock(ctx, "database", name); err != nil {
		return err
	}
	if err := dropNascent(ctx, ses, nascent(name, was)); err != nil {
		return err
	}
	have, err := findDatabase(ctx, ses, name)
	if have == nil || err != nil {
		return err
	}
	if was != "" && have.Comment != was {
		return claim("Database", name, have.Comment, was)
	}
	if err := before(); err != nil {
		return err
	}
	return ses.exec(ctx, "DROP DATABASE", ident(name), "WITH (FORCE)")
}

// dropNascent removes a half-made database, if there is one.
func dropNascent(ctx context.Context, ses *session, temporary string) error {
	have, err := findDatabase(ctx, ses, temporary)
	if have == nil || err != nil {
		return err
	}
	if have.Connectable {
		return &foreignError{kind: "Database", name: temporary, found: have.Comment}
	}
	return ses.exec(ctx, "DROP DATABASE", ident(temporary))
}

// dropNascentOf removes the half-made databases of an owner, who could not be
// dropped otherwise.
func dropNascentOf(ctx context.Context, ses *session, owner string) error {
	rows, _ := ses.Query(ctx, `
		SELECT d.datname::text FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
		 WHERE r.rolname = @owner AND starts_with(d.datname::text, @prefix) AND NOT d.datallowconn
		 ORDER BY 1`, pgx.NamedArgs{"owner": owner, "prefix": nascentPrefix})
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for half-made databases of %q: %w", owner, err)
	}
	for _, name := range names {
		if err := dropNascent(ctx, ses, name); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what a creation that ended with an error left behind, even when
// it ended because ctx did. What it cannot remove, the next creation will.
func (s *server) tidy(ctx context.Context, want databaseWish) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	_ = s.withSession(ctx, func(ses *session) error {
		if err := ses.lock(ctx, "database", want.Name); err != nil {
			return err
		}
		return dropNascent(ctx, ses, nascent(want.Name, want.Comment))
	})
}
