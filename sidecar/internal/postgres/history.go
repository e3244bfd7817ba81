package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// historyPage is how many rows are in memory at once while history is read.
const historyPage = 500

// History yields every stored verdict that the filter lets through, oldest
// first, and before the first that names an offering version that version. It
// reads in pages, each a call of its own, so it holds no transaction and
// little memory however long the history is. It ends at the first error.
func (s *Store) History(ctx context.Context, f provision.HistoryFilter) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		stages := []string{}
		for _, stage := range f.Stages {
			stages = append(stages, string(stage))
		}
		tell := s.withOfferings(ctx, yield)
		for after, more := int64(0), true; more; {
			rows, err := s.pastVerdicts(ctx, after, stages, f.Since)
			if err != nil {
				yield(provision.Past{}, err)
				return
			}
			more = len(rows) == historyPage
			for _, row := range rows {
				after = row.ID
				past, err := row.past()
				if !tell(past, err) {
					return
				}
			}
		}
	}
}

// Fleet yields every living instance as the create that would ask for it now:
// its own name, owner, cost centre and parameters, in the place and by the
// person that its first request had. Offerings come as in History.
func (s *Store) Fleet(ctx context.Context) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		tell := s.withOfferings(ctx, yield)
		var now time.Time
		for after, more := uuid.Nil, true; more; {
			rows, err := s.pastInstances(ctx, after)
			if err != nil {
				yield(provision.Past{}, err)
				return
			}
			more = len(rows) == historyPage
			for _, row := range rows {
				if now.IsZero() {
					now = row.Now // one clock for all, so that the order of pages decides nothing
				}
				after = row.ID
				past, err := row.past(now)
				if !tell(past, err) {
					return
				}
			}
		}
	}
}

// ApprovalsInHand are every request whose approval is waited for, or was granted and is
// not yet applied, by id, with its newest verdict: what its rules saw last.
// Offerings come as in History.
func (s *Store) ApprovalsInHand(ctx context.Context) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		tell := s.withOfferings(ctx, yield)
		for after, more := uuid.Nil, true; more; {
			rows, err := s.pastApprovals(ctx, after)
			if err != nil {
				yield(provision.Past{}, err)
				return
			}
			more = len(rows) == historyPage
			for _, row := range rows {
				after = row.RequestID
				past, err := row.past()
				past.Kind = provision.PastApproval
				if err == nil {
					err = fault(decode(row.Approval, &past.Approval), "read the approval of request "+row.RequestID.String())
				}
				if !tell(past, err) {
					return
				}
			}
		}
	}
}

// pastApprovalRow is a request's newest verdict with its approval.
type pastApprovalRow struct {
	pastVerdictRow
	Approval []byte
}

func (s *Store) pastApprovals(ctx context.Context, after uuid.UUID) ([]pastApprovalRow, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return many[pastApprovalRow](ctx, s.pool, "approvals", `
		SELECT v.id, r.id AS request_id, r.instance_id, v.stage, v.outcome, v.findings, v.bundle_digest, v.prices_digest,
		       r.offering_digest, v.input, v.at, r.approval
		  FROM requests r
		  JOIN LATERAL (
		       SELECT v.id, v.stage, v.outcome, v.findings, v.bundle_digest, v.prices_digest, v.input, v.at
		         FROM verdicts v
		        WHERE v.request_id = r.id
		        ORDER BY v.stage IN ('plan', 'approval') DESC, v.id DESC
		        LIMIT 1) v ON true
		 WHERE r.id > @after AND r.state IN ('queued', 'planning', 'awaiting_approval') AND r.approval IS NOT NULL
		 ORDER BY r.id
		 LIMIT @limit`,
		pgx.NamedArgs{"after": after, "limit": historyPage})
}

// withOfferings puts each offering version before the first Past that names it.
// One that is kept no longer is left out: what names it has no new price then.
func (s *Store) withOfferings(ctx context.Context, yield func(provision.Past, error) bool) func(provision.Past, error) bool {
	told := map[string]bool{"": true}
	return func(past provision.Past, err error) bool {
		if err != nil {
			yield(provision.Past{}, err)
			return false
		}
		if !told[past.OfferingDigest] {
			told[past.OfferingDigest] = true
			offering, _, err := s.Bundle(ctx, past.OfferingDigest)
			switch {
			case provision.KindOf(err) == provision.NotFound:
			case err != nil:
				yield(provision.Past{}, err)
				return false
			case !yield(provision.Past{Kind: provision.PastOffering, OfferingDigest: past.OfferingDigest, Offering: &offering}, nil):
				return false
			}
		}
		return yield(past, nil)
	}
}

// pastVerdictRow is a row of verdicts with its request's, as it is read.
type pastVerdictRow struct {
	ID             int64
	RequestID      uuid.UUID
	InstanceID     *uuid.UUID
	Stage          provision.Stage
	Outcome        provision.Outcome
	Findings       []byte
	BundleDigest   string
	PricesDigest   string
	OfferingDigest string
	Input          []byte
	At             time.Time
}

func (s *Store) pastVerdicts(ctx context.Context, after int64, stages []string, since time.Time) ([]pastVerdictRow, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return many[pastVerdictRow](ctx, s.pool, "verdicts", `
		SELECT v.id, v.request_id, r.instance_id, v.stage, v.outcome, v.findings, v.bundle_digest, v.prices_digest,
		       r.offering_digest, v.input, v.at
		  FROM verdicts v
		  JOIN requests r ON r.id = v.request_id
		 WHERE v.id > @after
		   AND (cardinality(@stages::text[]) = 0 OR v.stage = ANY(@stages))
		   AND v.at >= @since
		 ORDER BY v.id
		 LIMIT @limit`,
		pgx.NamedArgs{"after": after, "stages": stages, "since": since, "limit": historyPage})
}

func (r pastVerdictRow) past() (provision.Past, error) {
	past := provision.Past{
		Kind: provision.PastVerdict, RequestID: r.RequestID, Stage: r.Stage, Outcome: r.Outcome,
		BundleDigest: r.BundleDigest, PricesDigest: r.PricesDigest, OfferingDigest: r.OfferingDigest, At: r.At,
	}
	if r.InstanceID != nil {
		past.InstanceID = *r.InstanceID
	}
	if string(r.Input) != "null" {
		past.Input = r.Input
	}
	return past, fault(decode(r.Findings, &past.Findings), fmt.Sprintf("read verdict %d", r.ID))
}

// pastInstanceRow is a living instance with what its create's verdict saw.
type pastInstanceRow struct {
	ID              uuid.UUID
	Name            string
	Owner           string
	CostCenter      string
	OfferingVersion string
	OfferingDigest  string
	Parameters      []byte
	RequestID       uuid.UUID
	Input           []byte
	Now             time.Time
}

func (s *Store) pastInstances(ctx context.Context, after uuid.UUID) ([]pastInstanceRow, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return many[pastInstanceRow](ctx, s.pool, "instances", `
		SELECT i.id, i.name, i.owner, i.cost_center, i.offering_version, i.offering_digest, i.parameters, i.request_id,
		       first.input, now() AS now
		  FROM instances i
		  LEFT JOIN LATERAL (
		       SELECT v.input
		         FROM requests r
		         JOIN verdicts v ON v.request_id = r.id
		        WHERE r.instance_id = i.id AND v.stage = 'submit' AND r.action <> 'destroy'
		        ORDER BY r.created_at, r.id, v.id
		        LIMIT 1) first ON true
		 WHERE i.id > @after AND i.state NOT IN ('destroyed', 'released')
		 ORDER BY i.id
		 LIMIT @limit`,
		pgx.NamedArgs{"after": after, "limit": historyPage})
}

// past overlays what the instance is today on what its create's rules saw.
func (r pastInstanceRow) past(now time.Time) (provision.Past, error) {
	past := provision.Past{
		Kind: provision.PastInstance, RequestID: r.RequestID, InstanceID: r.ID, Stage: provision.StageSubmit,
		OfferingDigest: r.OfferingDigest, At: now,
	}
	var input map[string]any
	instance := provision.Instance{}
	doing := "read instance " + r.ID.String()
	if err := decode(r.Input, &input); err != nil {
		return past, fault(err, doing)
	}
	if input == nil {
		return past, nil
	}
	if err := decode(r.Parameters, &instance.Parameters); err != nil {
		return past, fault(err, doing)
	}
	if offering, ok := input["offering"].(map[string]any); ok {
		offering["version"] = r.OfferingVersion
	}
	for key, value := range map[string]any{
		"stage": provision.StageSubmit, "action": provision.Create, "name": r.Name, "owner": r.Owner, "cost_center": r.CostCenter,
		"parameters": instance.Shown(), "before": nil, "changes": nil, "at": now.Format(time.RFC3339Nano),
	} {
		input[key] = value
	}
	encoded, err := json.Marshal(input)
	past.Input = encoded
	return past, fault(err, doing)
}
