package control

import (
	"context"
	"log/slog"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// recorder takes what workers say. A message is acknowledged once what it says
// is committed; while the database is down it waits in its stream.
type recorder struct {
	store Store
	queue Queue
	log   *slog.Logger
}

func (r *recorder) runReports(ctx context.Context, b *beat) error {
	return r.queue.ConsumeReports(ctx, func(ctx context.Context, report provision.Report) error {
		done := b.begin()
		err := r.take(ctx, report)
		done(settled(err))
		return err
	})
}

func (r *recorder) runLogs(ctx context.Context, b *beat) error {
	return r.queue.ConsumeLogs(ctx, func(ctx context.Context, lines []provision.LogLine) error {
		done := b.begin()
		err := r.store.AppendLog(ctx, lines)
		done(settled(err))
		return err
	})
}

// take folds a report into its request. What does not count, because it is
// late, repeated or of an older token, is no error.
func (r *recorder) take(ctx context.Context, report provision.Report) error {
	counted := false
	record, err := r.store.ChangeRun(ctx, report.RunID, func(record *provision.Record) error {
		if record.Run.Worker != report.Worker || record.Run.Pool != report.Pool {
			return nil // not its run: a worker speaks for itself only
		}
		var err error
		counted, err = record.Take(report)
		return err
	})
	if err != nil {
		return err
	}
	log := r.log.With("run_id", report.RunID, "request_id", record.Request.ID, "worker", report.Worker)
	switch {
	case !counted:
		log.Debug("report does not count", "fence", report.Fence, "sequence", report.Sequence)
	case report.Outcome != nil:
		log.Info("run ended", "result", report.Outcome.Result, "state", record.Request.State)
	}
	return nil
}

// settled is nil for an error that ends a message for good: it is the
// message's fault and no sign that the loop is ill.
func settled(err error) error {
	if provision.KindOf(err) == provision.Internal {
		return err
	}
	return nil
}
