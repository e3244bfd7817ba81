package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const versionColumns = `v.id, v.offering, v.version, v.digest, v.state, v.reason, v.changed_by, v.changed_at, v.served_at, v.sequence`

type versionRow struct {
	ID        uuid.UUID
	Offering  string
	Version   string
	Digest    string
	State     provision.VersionState
	Reason    string
	ChangedBy string
	ChangedAt time.Time
	ServedAt  time.Time
	Sequence  int64
}

func (r versionRow) version() provision.Version {
	return provision.Version{
		ID: r.ID, Offering: r.Offering, Version: r.Version, Digest: r.Digest, State: r.State, Reason: r.Reason,
		By: r.ChangedBy, At: r.ChangedAt, ServedAt: r.ServedAt, Sequence: r.Sequence,
	}
}

// Versions implements provision.Store.
func (s *Store) Versions(ctx context.Context, offering string) ([]provision.Version, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		versionRow
		Instances int
	}
	rows, err := many[row](ctx, s.pool, "versions", `
		SELECT `+versionColumns+`,
		       (SELECT count(*) FROM instances i
		         WHERE i.offering_digest = v.digest AND i.state NOT IN ('destroyed', 'released')) AS instances
		  FROM offering_versions v
		 WHERE @offering = '' OR v.offering = @offering
		 ORDER BY v.offering, v.served_at DESC, v.digest
		 LIMIT 10000`, pgx.NamedArgs{"offering": offering})
	if err != nil {
		return nil, err
	}
	versions := make([]provision.Version, len(rows))
	for i, row := range rows {
		versions[i] = row.version()
		versions[i].Instances = row.Instances
	}
	return versions, nil
}

// KnowVersion makes a version of an offering known, whose bundle is kept: the
// offering's first is published, any other has the state that is given. One that
// is known stays what it is; a published one is served from now on unless
// others become drafts, because then people say what is.
func (s *Store) KnowVersion(ctx context.Context, o provision.Offering, state provision.VersionState) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var events []provision.Event
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		events = nil
		args := pgx.NamedArgs{"id": provision.NewID(), "digest": o.Digest, "offering": o.ID, "version": o.Version, "state": string(state), "by": provision.ServeSubject}
		// Two sidecars that start together make one of their versions the first.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('versions of ' || @offering))`, args); err != nil {
			return err
		}
		rows, err := many[versionRow](ctx, tx, "version", `
			INSERT INTO offering_versions AS v (digest, id, offering, version, state, reason, changed_by, sequence)
			SELECT @digest, @id, @offering, @version,
			       CASE WHEN EXISTS (SELECT FROM offering_versions k WHERE k.offering = @offering) THEN @state ELSE 'published' END,
			       '', @by, 1
			ON CONFLICT (digest) DO NOTHING
			RETURNING `+versionColumns, args)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			if state == provision.Draft {
				return nil
			}
			_, err := tx.Exec(ctx, `UPDATE offering_versions SET served_at = clock_timestamp() WHERE digest = @digest AND state = 'published'`, args)
			return err
		}
		known := rows[0].version()
		known.Sequence = 0
		events = []provision.Event{known.Known()}
		return s.tell(ctx, tx, events)
	})
	if err != nil {
		return shown(err, "make version "+o.Version+" of "+o.ID+" known")
	}
	s.hub.committed(events)
	return nil
}

// ChangeVersion implements provision.Store.
func (s *Store) ChangeVersion(ctx context.Context, offering, version string, decide func(*provision.Version) (*provision.Event, error)) (provision.Version, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var changed provision.Version
	var events []provision.Event
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		events = nil
		row, err := one[versionRow](ctx, tx, "version "+version+" of", offering, `
			SELECT `+versionColumns+`
			  FROM offering_versions v
			 WHERE v.offering = @offering AND (v.digest = @version OR v.version = @version)
			 ORDER BY v.digest = @version DESC, v.served_at DESC, v.digest
			 LIMIT 1
			   FOR UPDATE`, pgx.NamedArgs{"offering": offering, "version": version})
		if err != nil {
			return err
		}
		changed = row.version()
		event, err := decide(&changed)
		if err != nil || event == nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE offering_versions
			   SET state = @state, reason = @reason, changed_by = @by, changed_at = now(), sequence = @sequence,
			       served_at = CASE WHEN @state = 'published' THEN clock_timestamp() ELSE served_at END
			 WHERE digest = @digest`,
			pgx.NamedArgs{"state": string(changed.State), "reason": clean(changed.Reason), "by": changed.By, "sequence": changed.Sequence, "digest": changed.Digest})
		if err != nil {
			return err
		}
		events = []provision.Event{*event}
		return s.tell(ctx, tx, events)
	})
	if err != nil {
		return provision.Version{}, shown(err, "change version "+version+" of "+offering)
	}
	s.hub.committed(events)
	return changed, nil
}
