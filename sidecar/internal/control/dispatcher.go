package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// spare is how many requests are looked at beyond the free slots, so that some
// that cannot be judged right now do not hold up the others.
const spare = 50

// publishing bounds what is done after a commit, also when we are told to stop.
const publishing = 5 * time.Second

// heldPage is how many held requests a round looks at again; the next goes on
// from there. What is released wakes that next one, so that the end of a freeze
// empties page after page without waiting for the poll.
const heldPage = 20

// dispatcher gives queued requests a run as slots of their pool are free and
// their team may have another run. One sidecar at a time does it, so that no
// limit is exceeded.
type dispatcher struct {
	Config
	gate  *gate
	pools map[string][]string // pool to its environments
	names []string            // of pools, sorted
	woken chan struct{}
	held  uuid.UUID // the held request that the last round came to; zero at the end
}

func newDispatcher(c Config, g *gate) *dispatcher {
	d := &dispatcher{Config: c, gate: g, pools: map[string][]string{}, woken: make(chan struct{}, 1)}
	for name, environment := range c.Environments {
		d.pools[environment.Pool] = append(d.pools[environment.Pool], name)
	}
	for pool := range d.pools {
		d.names = append(d.names, pool)
	}
	slices.Sort(d.names)
	return d
}

// wake looks at once when a request has come to wait or has freed its slot, and
// when a pause has ended.
func (d *dispatcher) wake(events []provision.Event) {
	if !slices.ContainsFunc(events, func(e provision.Event) bool { return e.Entity == "request" || e.Entity == "pause" }) {
		return
	}
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

func (d *dispatcher) run(ctx context.Context, b *beat) error {
	return every(ctx, d.Poll, d.woken, b, d.Log, d.once)
}

func (d *dispatcher) once(ctx context.Context) error {
	if err := d.gate.pass(ctx); err != nil {
		return err
	}
	_, err := d.Store.Dispatching(ctx, d.round)
	return err
}

func (d *dispatcher) round(ctx context.Context) error {
	inFlight, err := d.Store.InFlight(ctx)
	if err != nil {
		return err
	}
	pauses, err := d.Store.Pauses(ctx)
	if err != nil {
		return err
	}
	failed, limits := d.release(ctx, pauses), d.Limits()
	for _, pool := range d.names {
		if err := d.fill(ctx, pool, limits.OfPool(pool)-inFlight[pool], limits, pauses); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// release looks at held requests again: they say what holds them now, and those
// that nothing holds any more are dispatched by this round or the next.
func (d *dispatcher) release(ctx context.Context, pauses []provision.Pause) error {
	held, err := d.Store.Held(ctx, slices.Sorted(maps.Keys(d.Environments)), d.held, heldPage)
	if err != nil {
		return err
	}
	d.held = uuid.Nil
	if len(held) == heldPage {
		d.held = held[len(held)-1]
	}
	for _, id := range held {
		_, err := d.Store.Change(ctx, id, func(r *provision.Record) error {
			holds, err := d.Runs.Holds(ctx, r, pauses)
			if err == nil {
				r.Hold(holds)
			}
			return err
		})
		if provision.KindOf(err) == provision.Unavailable {
			return err
		}
		if err != nil {
			d.Log.Error("held request not looked at", "request_id", id, "err", err)
		}
	}
	return nil
}

// fill dispatches up to free requests of a pool. It stops at once when the
// database is down; any other fault is one request's own and is left for the
// next round.
func (d *dispatcher) fill(ctx context.Context, pool string, free int, limits provision.Limits, pauses []provision.Pause) error {
	if free <= 0 {
		return nil
	}
	waiting, err := d.Store.Queued(ctx, d.pools[pool], limits, free+spare)
	if err != nil {
		return err
	}
	given := map[string]int{} // by owner
	for _, next := range waiting {
		if free == 0 {
			break
		}
		id, most := next.RequestID, limits.OfTeam(next.Owner)
		if most > 0 && next.InFlight+given[next.Owner] >= most {
			continue
		}
		dispatched, err := d.dispatch(ctx, pool, id, pauses)
		switch {
		case provision.KindOf(err) == provision.Unavailable:
			return err
		case err != nil:
			d.Log.Error("request not dispatched", "request_id", id, "err", err)
		case dispatched:
			free--
			given[next.Owner]++
		}
	}
	return nil
}

var errTaken = errors.New("it is no longer waiting")

// dispatch gives a request that nothing holds its run, commits, and only then offers the job. A
// job that cannot be published is offered by the sweep.
func (d *dispatcher) dispatch(ctx context.Context, pool string, id uuid.UUID, pauses []provision.Pause) (bool, error) {
	record, err := d.Store.Change(ctx, id, func(r *provision.Record) error {
		if r.Request.State != provision.Queued || r.Run != nil && r.Run.State != provision.RunEnded {
			return errTaken
		}
		verdict, err := d.Runs.JudgeQueued(ctx, r)
		if err != nil {
			return err
		}
		if verdict.Acceptable() {
			holds, err := d.Runs.Holds(ctx, r, pauses)
			if err != nil {
				return err
			}
			if r.Hold(holds); len(holds) > 0 {
				return nil
			}
		}
		return r.Dispatch(pool, verdict)
	})
	if errors.Is(err, errTaken) || provision.KindOf(err) == provision.Conflict {
		return false, nil // by another replica, or cancelled
	}
	if err != nil {
		return false, err
	}
	if record.Request.State != provision.Queued {
		d.Log.Info("request denied when its turn came", "request_id", id)
		return false, nil
	}
	if len(record.Request.Holds) > 0 {
		d.Log.Info("request held", "request_id", id, "waiting", record.Request.Waiting)
		return false, nil
	}
	d.Log.Info("run dispatched", "request_id", id, "run_id", record.Run.ID, "pool", pool)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishing)
	defer cancel()
	job := provision.Job{RunID: record.Run.ID, RequestID: id, OfferingDigest: record.Request.OfferingDigest, DispatchedAt: record.Run.DispatchedAt}
	if err := d.publish(ctx, pool, job); err != nil {
		d.Log.Warn("job not published; the sweep tries again", "run_id", job.RunID, "err", err)
	}
	return true, nil
}

func (d *dispatcher) publish(ctx context.Context, pool string, job provision.Job) error {
	if err := d.Queue.Ready(); err != nil {
		return err
	}
	return d.Queue.PublishJob(ctx, pool, job)
}
