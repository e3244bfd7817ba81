package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// roleFacts is a role as the server has it.
type roleFacts struct {
	Login           bool
	ConnectionLimit int64
	Comment         string   // empty: none
	MemberOf        []string // sorted
	ConnectTo       []string // databases that it was granted CONNECT on, sorted; its own are left out
}

// roleWish is a role as it should be.
type roleWish struct {
	Name            string
	Login           bool
	ConnectionLimit int64
	Comment         string
	MemberOf        []string
	ConnectTo       []string // nil: whatever it has stays
	Password        string   // empty: the one it has stays
}

// findRole returns nil if there is no such role.
func findRole(ctx context.Context, ses *session, name string) (*roleFacts, error) {
	rows, _ := ses.Query(ctx, `
		SELECT r.rolcanlogin AS login, r.rolconnlimit::bigint AS connection_limit,
		       coalesce(shobj_description(r.oid, 'pg_authid'), '') AS comment,
		       ARRAY(SELECT DISTINCT g.rolname::text
		               FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
		              WHERE m.member = r.oid ORDER BY 1) AS member_of,
		       ARRAY(SELECT DISTINCT d.datname::text
		               FROM pg_database d, aclexplode(d.datacl) a
		              WHERE a.grantee = r.oid AND a.privilege_type = 'CONNECT' AND d.datdba <> r.oid
		              ORDER BY 1) AS connect_to
		  FROM pg_roles r
		 WHERE r.rolname = @name`, pgx.NamedArgs{"name": name})
	facts, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[roleFacts])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read role %q: %w", name, err)
	}
	return facts, nil
}

// createRole makes the role, or takes it up if it carries the wanted comment.
// It is all or nothing.
func createRole(ctx context.Context, ses *session, want roleWish) error {
	if _, err := lockRole(ctx, ses, want.Name, want.ConnectTo); err != nil {
		return err
	}
	return ses.inTx(ctx, func(tx *session) error {
		have, err := findRole(ctx, tx, want.Name)
		if err != nil {
			return err
		}
		if have == nil {
			if err := tx.exec(ctx, "CREATE ROLE", ident(want.Name)); err != nil {
				return err
			}
			have = &roleFacts{}
		} else if err := claim("Role", want.Name, have.Comment, want.Comment); err != nil {
			return err
		}
		return writeRole(ctx, tx, have, want)
	})
}

// updateRole changes the role that carries the comment was (empty: any).
func updateRole(ctx context.Context, ses *session, want roleWish, was string) error {
	if _, err := lockRole(ctx, ses, want.Name, want.ConnectTo); err != nil {
		return err
	}
	return ses.inTx(ctx, func(tx *session) error {
		have, err := findRole(ctx, tx, want.Name)
		if err != nil {
			return err
		}
		if have == nil {
			return fmt.Errorf("role %q is gone since the plan was made; plan again", want.Name)
		}
		if was != "" && have.Comment != was {
			return claim("Role", want.Name, have.Comment, was)
		}
		return writeRole(ctx, tx, have, want)
	})
}

// lockRole locks the role, and then in the order of their names the databases
// that it may connect to and those that it shall: the server refuses two
// changes of one database's rights at the same time. It returns the role as it
// is, nil if there is none.
func lockRole(ctx context.Context, ses *session, name string, connectTo []string) (*roleFacts, error) {
	if err := ses.lock(ctx, "role", name); err != nil {
		return nil, err
	}
	have, err := findRole(ctx, ses, name)
	if err != nil {
		return nil, err
	}
	databases := slices.Clone(connectTo)
	if have != nil {
		databases = append(databases, have.ConnectTo...)
	}
	slices.Sort(databases)
	for _, database := range slices.Compact(databases) {
		if err := ses.lock(ctx, "database", database); err != nil {
			return nil, err
		}
	}
	return have, nil
}

func writeRole(ctx context.Context, tx *session, have *roleFacts, want roleWish) error {
	name := ident(want.Name)
	login := "NOLOGIN"
	if want.Login {
		login = "LOGIN"
	}
	alter := []string{"ALTER ROLE", name, login, fmt.Sprintf("CONNECTION LIMIT %d", want.ConnectionLimit)}
	if want.Password != "" {
		stored, err := verifier(want.Password)
		if err != nil {
			return err
		}
		alter = append(alter, "PASSWORD", literal(stored))
	}
	if err := tx.exec(ctx, alter...); err != nil {
		return err
	}
	for _, group := range missing(have.MemberOf, want.MemberOf) {
		if err := tx.exec(ctx, "REVOKE", ident(group), "FROM", name); err != nil {
			return err
		}
	}
	for _, group := range missing(want.MemberOf, have.MemberOf) {
		if err := tx.exec(ctx, "GRANT", ident(group), "TO", name); err != nil {
			return err
		}
	}
	if want.ConnectTo != nil {
		for _, database := range missing(have.ConnectTo, want.ConnectTo) {
			if err := tx.exec(ctx, "REVOKE CONNECT ON DATABASE", ident(database), "FROM", name); err != nil {
				return err
			}
		}
		for _, database := range missing(want.ConnectTo, have.ConnectTo) {
			if err := tx.exec(ctx, "GRANT CONNECT ON DATABASE", ident(database), "TO", name); err != nil {
				return err
			}
		}
	}
	return tx.exec(ctx, "COMMENT ON ROLE", name, "IS", comment(want.Comment))
}

// dropRole removes the role that carries the comment was (empty: any), with
// its right to connect and with what an interrupted creation left it owning.
// A role that is gone already is no error.
func dropRole(ctx context.Context, ses *session, name, was string) error {
	have, err := lockRole(ctx, ses, name, nil)
	if have == nil || err != nil {
		return err
	}
	if was != "" && have.Comment != was {
		return claim("Role", name, have.Comment, was)
	}
	if err := dropNascentOf(ctx, ses, name); err != nil {
		return err
	}
	return ses.inTx(ctx, func(tx *session) error {
		for _, database := range have.ConnectTo {
			if err := tx.exec(ctx, "REVOKE CONNECT ON DATABASE", ident(database), "FROM", ident(name)); err != nil {
				return err
			}
		}
		return tx.exec(ctx, "DROP ROLE", ident(name))
	})
}

// missing returns what is in these and not in those.
func missing(these, those []string) []string {
	return slices.DeleteFunc(slices.Clone(these), func(s string) bool { return slices.Contains(those, s) })
}
