package postgres

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	defaultPage = 50
	largestPage = 100
)

// Request implements provision.Store.
func (s *Store) Request(ctx context.Context, id uuid.UUID) (provision.Request, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	row, err := one[requestRow](ctx, s.pool, "request", id,
		`SELECT `+requestColumns+` FROM requests r WHERE r.id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return provision.Request{}, err
	}
	return row.request()
}

// RequestByKey implements provision.Store.
func (s *Store) RequestByKey(ctx context.Context, requestedBy, key string) (provision.Request, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	row, err := one[requestRow](ctx, s.pool, "request with key", key, `
		SELECT `+requestColumns+`
		  FROM requests r
		 WHERE r.requested_by = @requested_by AND r.idempotency_key = @key AND r.idempotency_key <> ''`,
		pgx.NamedArgs{"requested_by": requestedBy, "key": key})
	if err != nil {
		return provision.Request{}, err
	}
	return row.request()
}

// Instance implements provision.Store.
func (s *Store) Instance(ctx context.Context, id uuid.UUID) (provision.Instance, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	row, err := one[instanceRow](ctx, s.pool, "instance", id,
		`SELECT `+instanceColumns+` FROM instances i WHERE i.id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return provision.Instance{}, err
	}
	return row.instance()
}

// InstanceByName is the living instance of that name; NotFound when there is
// none.
func (s *Store) InstanceByName(ctx context.Context, offering, environment, name string) (provision.Instance, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	row, err := one[instanceRow](ctx, s.pool, "instance", provision.EntityRef(environment, name, offering), `
		SELECT `+instanceColumns+`
		  FROM instances i
		 WHERE i.offering = @offering AND i.environment = @environment AND i.name = @name
		   AND i.state NOT IN ('destroyed', 'released')`,
		pgx.NamedArgs{"offering": offering, "environment": environment, "name": name})
	if err != nil {
		return provision.Instance{}, err
	}
	return row.instance()
}

// Requests implements provision.Store. A cursor that was not made here is
// Invalid.
func (s *Store) Requests(ctx context.Context, f provision.RequestFilter) (provision.Page[provision.Request], error) {
	states := make([]string, len(f.States))
	for i, state := range f.States {
		states[i] = string(state)
	}
	list := listing{table: "requests", alias: "r", columns: requestColumns, owners: f.Owners, cursor: f.Cursor, limit: f.Limit}
	list.where("requested_by = @requested_by", "requested_by", f.RequestedBy, f.RequestedBy != "")
	list.where("instance_id = @instance_id", "instance_id", f.InstanceID, f.InstanceID != uuid.Nil)
	list.where("state = ANY(@states)", "states", states, len(states) > 0)
	list.where("offering = @offering", "offering", f.Offering, f.Offering != "")
	list.where("environment = @environment", "environment", f.Environment, f.Environment != "")
	return page(ctx, s, list, requestRow.request, func(r provision.Request) (time.Time, uuid.UUID) { return r.CreatedAt, r.ID })
}

// Instances implements provision.Store, as Requests does.
func (s *Store) Instances(ctx context.Context, f provision.InstanceFilter) (provision.Page[provision.Instance], error) {
	list := listing{table: "instances", alias: "i", columns: instanceColumns, owners: f.Owners, cursor: f.Cursor, limit: f.Limit}
	list.where("state NOT IN ('destroyed', 'released')", "", nil, true)
	list.where("offering = @offering", "offering", f.Offering, f.Offering != "")
	list.where("environment = @environment", "environment", f.Environment, f.Environment != "")
	list.where("preview IS NOT NULL", "", nil, f.Ephemeral)
	list.where("preview ->> 'id' = @preview_id", "preview_id", f.PreviewID.String(), f.PreviewID != uuid.Nil)
	return page(ctx, s, list, instanceRow.instance, func(i provision.Instance) (time.Time, uuid.UUID) { return i.CreatedAt, i.ID })
}

// listing is a keyset page of a table, newest first.
type listing struct {
	table, alias, columns string
	owners                []string
	cursor                string
	limit                 int
	conditions            []string
	args                  pgx.NamedArgs
}

func (l *listing) where(condition, name string, value any, set bool) {
	if l.args == nil {
		l.args = pgx.NamedArgs{}
	}
	if !set {
		return
	}
	l.conditions = append(l.conditions, l.alias+"."+condition)
	if name != "" {
		l.args[name] = value
	}
}

// sql asks for one row more than the page, to know whether another follows.
// With owners it reads each owner's newest from that owner's index and merges
// them, so that its cost does not grow with the history.
func (l *listing) sql() (string, error) {
	switch {
	case l.limit <= 0:
		l.limit = defaultPage
	case l.limit > largestPage:
		l.limit = largestPage
	}
	l.args["limit"] = l.limit + 1
	if l.cursor != "" {
		at, id, err := readCursor(l.cursor)
		if err != nil {
			return "", err
		}
		l.conditions = append(l.conditions, fmt.Sprintf("(%[1]s.created_at, %[1]s.id) < (@cursor_at, @cursor_id)", l.alias))
		l.args["cursor_at"], l.args["cursor_id"] = at, id
	}
	conditions := l.conditions
	if l.owners != nil {
		conditions = append(conditions, l.alias+".owner = asked.owner")
		l.args["owners"] = l.owners
	}
	if len(conditions) == 0 {
		conditions = []string{"true"}
	}
	newest := fmt.Sprintf("SELECT %[1]s.* FROM %[2]s %[1]s WHERE %[3]s ORDER BY %[1]s.created_at DESC, %[1]s.id DESC LIMIT @limit",
		l.alias, l.table, strings.Join(conditions, " AND "))
	if l.owners != nil {
		newest = fmt.Sprintf("SELECT one.* FROM (SELECT DISTINCT unnest(@owners::text[]) AS owner) AS asked CROSS JOIN LATERAL (%s) AS one", newest)
	}
	return fmt.Sprintf("SELECT %[2]s FROM (%[3]s) %[1]s ORDER BY %[1]s.created_at DESC, %[1]s.id DESC LIMIT @limit",
		l.alias, l.columns, newest), nil
}

func page[Row, T any](ctx context.Context, s *Store, l listing, read func(Row) (T, error), key func(T) (time.Time, uuid.UUID)) (provision.Page[T], error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	p := provision.Page[T]{Items: []T{}}
	sql, err := l.sql()
	if err != nil {
		return p, err
	}
	rows, err := many[Row](ctx, s.pool, l.table, sql, l.args)
	if err != nil {
		return p, err
	}
	for i, row := range rows {
		if i == l.limit {
			p.Next = writeCursor(key(p.Items[i-1]))
			break
		}
		item, err := read(row)
		if err != nil {
			return p, err
		}
		p.Items = append(p.Items, item)
	}
	return p, nil
}

func writeCursor(at time.Time, id uuid.UUID) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", at.UnixMicro(), id))
}

func readCursor(cursor string) (time.Time, uuid.UUID, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, _ := strings.Cut(string(text), ".")
	micros, err2 := strconv.ParseInt(at, 10, 64)
	parsed, err3 := uuid.Parse(id)
	if err != nil || err2 != nil || err3 != nil {
		return time.Time{}, uuid.Nil, provision.Errorf(provision.Invalid, "this cursor was not made by a list; leave it out to begin at the newest")
	}
	return time.UnixMicro(micros).UTC(), parsed, nil
}

// verdictRow is a row of verdicts as it is read.
type verdictRow struct {
	Stage        provision.Stage
	Outcome      provision.Outcome
	Findings     []byte
	Estimate     []byte
	BundleDigest string
	Input        []byte
	At           time.Time
}

// Verdicts implements provision.Store. A request has a handful.
func (s *Store) Verdicts(ctx context.Context, requestID uuid.UUID) ([]provision.StageVerdict, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[verdictRow](ctx, s.pool, "verdicts", `
		SELECT v.stage, v.outcome, v.findings, v.estimate, v.bundle_digest, v.input, v.at
		  FROM verdicts v
		 WHERE v.request_id = @request_id
		 ORDER BY v.id
		 LIMIT 1000`,
		pgx.NamedArgs{"request_id": requestID})
	if err != nil {
		return nil, err
	}
	verdicts := make([]provision.StageVerdict, len(rows))
	for i, row := range rows {
		v := provision.Verdict{Outcome: row.Outcome, BundleDigest: row.BundleDigest, Input: row.Input, At: row.At}
		if err := decode(row.Findings, &v.Findings); err != nil {
			return nil, fmt.Errorf("read verdict %d of request %s: %w", i, requestID, err)
		}
		if err := decode(row.Estimate, &v.Estimate); err != nil {
			return nil, fmt.Errorf("read verdict %d of request %s: %w", i, requestID, err)
		}
		verdicts[i] = provision.StageVerdict{Stage: row.Stage, Verdict: v}
	}
	return verdicts, nil
}
