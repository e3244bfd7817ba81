package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// spendSQL moves a balance. Whoever moves several does it in the order of
// BalanceMove, so that no two wait for each other, and after everything else, so
// that others wait for no more than a commit.
const spendSQL = `SELECT roadbed_spend(@kind, @name, @reserved, @committed, @cap)`

func queueMoves(batch *pgx.Batch, moves []provision.BalanceMove) {
	for _, m := range moves {
		batch.Queue(spendSQL, pgx.NamedArgs{
			"kind": string(m.Kind), "name": clean(m.Name), "reserved": int64(m.Reserved), "committed": int64(m.Committed), "cap": mills(m.Cap),
		})
	}
}

// balanceRow is a row of balances as it is read.
type balanceRow struct {
	Kind           provision.BudgetKind
	Name           string
	ReservedMills  int64
	CommittedMills int64
}

func (r balanceRow) balance() provision.Balance {
	return provision.Balance{
		Scope:    provision.Scope{Kind: r.Kind, Name: r.Name},
		Reserved: provision.Money(r.ReservedMills), Committed: provision.Money(r.CommittedMills),
	}
}

func balancesOf(rows []balanceRow) []provision.Balance {
	balances := make([]provision.Balance, len(rows))
	for i, row := range rows {
		balances[i] = row.balance()
	}
	return balances
}

const (
	balancesSQL = `
		SELECT payer.kind, payer.name, COALESCE(b.reserved_mills, 0) AS reserved_mills, COALESCE(b.committed_mills, 0) AS committed_mills
		  FROM unnest(@kinds::text[], @names::text[]) WITH ORDINALITY AS payer (kind, name, position)
		  LEFT JOIN balances b ON b.kind = payer.kind AND b.name = payer.name
		 ORDER BY payer.position`

	allBalancesSQL = `
		SELECT b.kind, b.name, b.reserved_mills, b.committed_mills
		  FROM balances b
		 ORDER BY b.kind, b.name
		 LIMIT 10000`

	balancesOfRequestSQL = balancesOfSQL + "@id" + balancesOrderSQL
	balancesOfRunSQL     = balancesOfSQL + "(SELECT request_id FROM runs WHERE id = @id)" + balancesOrderSQL

	// In the order of provision's scopes: team, cost centre, environment.
	balancesOfSQL = `
		SELECT payer.kind, payer.name, COALESCE(b.reserved_mills, 0) AS reserved_mills, COALESCE(b.committed_mills, 0) AS committed_mills
		  FROM requests r
		 CROSS JOIN LATERAL (VALUES (1, 'team', r.owner), (2, 'cost_center', r.cost_center), (3, 'environment', r.environment))
		       AS payer (position, kind, name)
		  LEFT JOIN balances b ON b.kind = payer.kind AND b.name = payer.name
		 WHERE payer.name <> '' AND r.id = `
	balancesOrderSQL = ` ORDER BY payer.position`
)

// Balances implements provision.Store.
func (s *Store) Balances(ctx context.Context, scopes []provision.Scope) ([]provision.Balance, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if scopes == nil {
		rows, err := many[balanceRow](ctx, s.pool, "balances", allBalancesSQL, pgx.NamedArgs{})
		return balancesOf(rows), err
	}
	kinds, names := make([]string, len(scopes)), make([]string, len(scopes))
	for i, scope := range scopes {
		kinds[i], names[i] = string(scope.Kind), clean(scope.Name)
	}
	rows, err := many[balanceRow](ctx, s.pool, "balances", balancesSQL, pgx.NamedArgs{"kinds": kinds, "names": names})
	return balancesOf(rows), err
}
