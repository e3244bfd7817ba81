package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// SQLSTATEs that mean something to us; the class of the others decides.
const (
	uniqueViolation = "23505"
	notFoundByUs    = "RB409" // raised by roadbed_found
	overBudget      = "RB402" // raised by roadbed_spend
)

// passing are the SQLSTATEs, whole or by class, that a repeat may not meet.
var passing = map[string]bool{
	"08": true, "53": true, "57": true, // connection, resources, operator
	"40001": true, "40P01": true, "55P03": true, // serialisation, deadlock, lock_timeout
	"25006": true, "25P03": true, "25P04": true, // read-only during failover, timeouts of a transaction
}

// fault is the one place where database errors become the domain's: Unavailable
// when the same call may work later, else an internal error that says what was
// being done.
func fault(err error, doing string) error {
	if err == nil {
		return nil
	}
	if passes(err) {
		return provision.Unreachable("the database", fmt.Errorf("%s: %w", doing, err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// shown is fault for what may already be the domain's error.
func shown(err error, doing string) error {
	var known *provision.Error
	if errors.As(err, &known) {
		return err
	}
	return fault(err, doing)
}

func passes(err error) bool {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return passing[pg.Code] || len(pg.Code) == 5 && passing[pg.Code[:2]]
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, puddle.ErrClosedPool) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// violated is the constraint or index that a unique violation is about.
func violated(err error) (constraint string, ok bool) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		return pg.ConstraintName, true
	}
	return "", false
}

// missed reports whether roadbed_found found nothing.
func missed(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == notFoundByUs
}

// missedBecause is missed for what roadbed_found was told to say.
func missedBecause(err error, what string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == notFoundByUs && pg.Message == what
}

// overspent reports whether roadbed_spend found less left of a budget.
func overspent(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == overBudget
}
