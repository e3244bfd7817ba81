package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// A report may come twice, so that its entry may be there already.
const insertJournalSQL = `
	INSERT INTO journal (instance_id, run_id, fence, sequence, address, did, resource_id, sealed_id, said_by, reason, at)
	VALUES (@instance_id, @run_id, @fence, @sequence, @address, @did, @resource_id, @sealed_id, @said_by, @reason, @at)
	ON CONFLICT (run_id, sequence) WHERE run_id IS NOT NULL DO NOTHING`

const forgetJournalSQL = `DELETE FROM journal WHERE instance_id = @instance_id`

// queueJournal writes what was said of resources.
func queueJournal(batch *pgx.Batch, r *provision.Record) {
	entries, settled := r.Journal()
	for _, e := range entries {
		var run *uuid.UUID
		if e.RunID != uuid.Nil {
			run = &e.RunID
		}
		batch.Queue(insertJournalSQL, pgx.NamedArgs{
			"instance_id": key(r.Instance.ID), "run_id": run, "fence": e.Fence, "sequence": e.Sequence, "address": clean(e.Address), "did": e.Did,
			"resource_id": clean(e.ResourceID), "sealed_id": e.SealedID, "said_by": clean(e.By), "reason": clean(e.Reason), "at": e.At,
		})
	}
	if settled {
		batch.Queue(forgetJournalSQL, pgx.NamedArgs{"instance_id": key(r.Instance.ID)})
	}
}

// Journal implements provision.Store. What an older run has said late comes
// before what a newer one says.
func (s *Store) Journal(ctx context.Context, instanceID uuid.UUID) ([]provision.JournalEntry, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		RunID      *uuid.UUID
		Fence      int64
		Sequence   int64
		Address    string
		Did        string
		ResourceID string
		SealedID   []byte
		SaidBy     string
		Reason     string
		At         time.Time
	}
	rows, err := many[row](ctx, s.pool, "journal of instance "+instanceID.String(), `
		SELECT j.run_id, j.fence, j.sequence, j.address, j.did, j.resource_id, j.sealed_id, j.said_by, j.reason, j.at
		  FROM journal j WHERE j.instance_id = @instance_id ORDER BY j.fence, j.id`, pgx.NamedArgs{"instance_id": instanceID})
	if err != nil {
		return nil, err
	}
	journal := make([]provision.JournalEntry, len(rows))
	for i, r := range rows {
		journal[i] = provision.JournalEntry{
			Fence: r.Fence, Sequence: r.Sequence, Address: r.Address, Did: r.Did, ResourceID: r.ResourceID,
			SealedID: r.SealedID, Sealed: r.SealedID != nil, By: r.SaidBy, Reason: r.Reason, At: r.At,
		}
		if r.RunID != nil {
			journal[i].RunID = *r.RunID
		}
	}
	return journal, nil
}
