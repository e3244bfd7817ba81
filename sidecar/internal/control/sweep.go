package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// sweepPage is how much of one kind a round does; the next does the rest.
const sweepPage = 100

// sweep does what is due and offers again what was lost. Several may run.
type sweep struct {
	Config
	gate   *gate
	looked time.Time // when steps were last looked at
}

func (s *sweep) run(ctx context.Context, b *beat) error {
	return every(ctx, s.Poll, nil, b, s.Log, s.once)
}

// once does every kind of work, also when one fails.
func (s *sweep) once(ctx context.Context) error {
	return errors.Join(s.expire(ctx), s.giveUp(ctx), s.denyUnapproved(ctx), s.tellStalled(ctx), s.warn(ctx), s.end(ctx), s.tellUnused(ctx), s.offerAgain(ctx))
}

// expire deals with runs whose worker fell silent.
func (s *sweep) expire(ctx context.Context) error {
	runs, err := s.Store.Expired(ctx, sweepPage)
	if err != nil {
		return err
	}
	return s.each(runs, "run_id", func(id uuid.UUID) error {
		record, err := s.Store.ChangeRun(ctx, id, func(r *provision.Record) error { return r.Expire() })
		if err == nil {
			s.Log.Warn("worker fell silent", "run_id", id, "request_id", record.Request.ID, "worker", record.Run.Worker, "state", record.Request.State)
		}
		return err
	})
}

// giveUp fails requests that nothing has taken up in time.
func (s *sweep) giveUp(ctx context.Context) error {
	requests, err := s.Store.Overdue(ctx, s.QueueTimeout, sweepPage)
	if err != nil {
		return err
	}
	return s.each(requests, "request_id", func(id uuid.UUID) error {
		_, err := s.Store.Change(ctx, id, func(r *provision.Record) error {
			if r.Request.State != provision.Queued {
				return nil // a worker has it after all
			}
			return r.GiveUp(fmt.Sprintf("it waited longer than %s, %s; ask again once a worker of its environment is up", spoken(s.QueueTimeout), r.Request.Waiting))
		})
		if err == nil {
			s.Log.Warn("request given up", "request_id", id)
		}
		return err
	})
}

// denyUnapproved denies requests that nobody has approved in time.
func (s *sweep) denyUnapproved(ctx context.Context) error {
	requests, err := s.Store.Unapproved(ctx, sweepPage)
	if err != nil {
		return err
	}
	return s.each(requests, "request_id", func(id uuid.UUID) error {
		record, err := s.Store.Change(ctx, id, func(r *provision.Record) error { return r.ExpireApproval() })
		if err == nil && record.Request.State == provision.DeniedState {
			s.Log.Info("request denied: nobody approved it in time", "request_id", id)
		}
		return err
	})
}

// tellStalled tells of steps that take too long.
func (s *sweep) tellStalled(ctx context.Context) error {
	if time.Since(s.looked) < s.StepLook {
		return nil
	}
	s.looked = time.Now()
	requests, err := s.Store.UnderWay(ctx, sweepPage)
	if err != nil {
		return err
	}
	return s.each(requests, "request_id", func(id uuid.UUID) error {
		request, err := s.Store.Request(ctx, id)
		if err != nil {
			return err
		}
		timing, err := s.Store.Timing(ctx, request, provision.LongPast)
		if err != nil || len(provision.Stalled(request, timing)) == 0 {
			return err
		}
		_, err = s.Store.Change(ctx, id, func(r *provision.Record) error {
			r.Stall(timing)
			return nil
		})
		return err
	})
}

// warn tells of instances that near their end.
func (s *sweep) warn(ctx context.Context) error {
	nearing, err := s.Store.Nearing(ctx, sweepPage)
	if err != nil {
		return err
	}
	return s.each(nearing, "request_id", func(id uuid.UUID) error {
		_, err := s.Store.Change(ctx, id, func(r *provision.Record) error { return r.Warn() })
		return err
	})
}

// end asks for the end of what has expired. What cannot be ended is kept, told
// of, and tried again later.
func (s *sweep) end(ctx context.Context) error {
	if s.Ends == nil {
		return nil
	}
	ended, err := s.Store.Ended(ctx, sweepPage)
	if err != nil {
		return err
	}
	for _, e := range ended {
		request, why := e.RequestID, ""
		asked, err := s.Ends.Expire(ctx, e.InstanceID)
		switch {
		case provision.KindOf(err) == provision.Unavailable:
			return err
		case err != nil && provision.KindOf(err) == provision.Conflict:
			continue // something was asked of it meanwhile
		case err != nil:
			why = err.Error()
			s.Log.Warn("what has expired is kept", "instance_id", e.InstanceID, "err", err)
		default:
			request = asked.ID
			s.Log.Info("end of what has expired asked for", "instance_id", e.InstanceID, "request_id", request)
		}
		if _, err := s.Store.Change(ctx, request, func(r *provision.Record) error { return r.Expired(why) }); err != nil {
			return err
		}
	}
	return nil
}

// offerAgain publishes jobs that were lost: by a crash between commit and
// publish, or by NATS. A pool that has as many messages as unclaimed runs has
// lost none; its workers are busy or away.
func (s *sweep) offerAgain(ctx context.Context) error {
	if err := s.gate.pass(ctx); err != nil {
		return err
	}
	unclaimed, err := s.Store.Unclaimed(ctx, s.Patience, sweepPage)
	if err != nil || len(unclaimed) == 0 {
		return err
	}
	if err := s.Queue.Ready(); err != nil {
		return err
	}
	for pool, jobs := range unclaimed {
		waiting, err := s.Queue.WaitingJobs(ctx, pool)
		if err != nil {
			return err
		}
		if waiting >= len(jobs) {
			continue
		}
		for _, job := range jobs {
			if err := s.Queue.PublishJob(ctx, pool, job); err != nil {
				return err
			}
			s.Log.Info("job offered again", "run_id", job.RunID, "request_id", job.RequestID, "pool", pool)
		}
	}
	return nil
}

// each does one thing after the other. It stops at once when the database is
// down; any other fault is logged and left for the next round.
func (s *sweep) each(ids []uuid.UUID, key string, do func(uuid.UUID) error) error {
	for _, id := range ids {
		err := do(id)
		if provision.KindOf(err) == provision.Unavailable {
			return err
		}
		if err != nil {
			s.Log.Error("sweep could not deal with it", key, id, "err", err)
		}
	}
	return nil
}

// spoken is a duration for people: "24h", not "24h0m0s".
func spoken(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return d.String()
	}
}
