package queue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestJobs(t *testing.T) {
	t.Parallel()

	t.Run("a job reaches one worker of its pool, once it is acknowledged never again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		want := job()
		if err := q.PublishJob(t.Context(), "elsewhere", job()); err != nil {
			t.Fatal(err)
		}
		if err := q.PublishJob(t.Context(), "local", want); err != nil {
			t.Fatal(err)
		}
		next, err := pool(t, q).Next(t.Context())
		if err != nil || next.Job.RunID != want.RunID || next.Job.RequestID != want.RequestID || !next.Job.DispatchedAt.Equal(want.DispatchedAt) {
			t.Fatalf("Next() = %v, %v; want %v", next.Job, err, want)
		}
		if n, err := q.WaitingJobs(t.Context(), "local"); n != 1 || err != nil {
			t.Errorf("WaitingJobs() = %d, %v before the answer, want 1", n, err)
		}
		if err := next.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, soon, "the job is removed", func() bool { return stored(t, server, "JOBS") == 1 })
		if n, err := q.WaitingJobs(t.Context(), "local"); n != 0 || err != nil {
			t.Errorf("WaitingJobs() = %d, %v after the answer, want 0", n, err)
		}
	})

	t.Run("a job that could not be claimed comes again", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		want := job()
		if err := q.PublishJob(t.Context(), "local", want); err != nil {
			t.Fatal(err)
		}
		var got seen[provision.Job]
		runs(t, func(ctx context.Context) error {
			return pool(t, q).Work(ctx, func(_ context.Context, j provision.Job) error {
				got.add(j)
				if len(got.all()) == 1 {
					return provision.Unreachable("the sidecar", nil)
				}
				return nil
			})
		})
		for _, j := range got.await(t, 2) {
			if j.RunID != want.RunID {
				t.Errorf("got a job of run %s, want %s", j.RunID, want.RunID)
			}
		}
	})

	t.Run("a job that is published again while the first waits is heard, too", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		again, p := job(), pool(t, q)
		for range 2 {
			if err := q.PublishJob(t.Context(), "local", again); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			next, err := p.Next(t.Context())
			if err != nil || next.Job.RunID != again.RunID {
				t.Fatalf("Next() = %v, %v; want a job of run %s", next.Job, err, again.RunID)
			}
			if err := next.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})

	t.Run("a job that someone else has, and one that is refused, never come again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		for range 2 {
			if err := q.PublishJob(t.Context(), "local", job()); err != nil {
				t.Fatal(err)
			}
		}
		answers := make(chan error, 2)
		answers <- provision.Errorf(provision.Conflict, "someone has it")
		answers <- provision.Errorf(provision.Invalid, "it is nonsense")
		runs(t, func(ctx context.Context) error {
			return pool(t, q).Work(ctx, func(context.Context, provision.Job) error { return <-answers })
		})
		testkit.Eventually(t, soon, "both jobs are removed", func() bool { return stored(t, server, "JOBS") == 0 })
	})

	t.Run("a busy worker leaves the next job to others", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		for range 2 {
			if err := q.PublishJob(t.Context(), "local", job()); err != nil {
				t.Fatal(err)
			}
		}
		var got seen[provision.Job]
		release := make(chan struct{})
		work := func(ctx context.Context) error {
			return pool(t, q).Work(ctx, func(_ context.Context, j provision.Job) error {
				got.add(j)
				<-release
				return nil
			})
		}
		runs(t, work)
		got.await(t, 1)
		runs(t, work)
		both := got.await(t, 2)
		close(release)
		if both[0].RunID == both[1].RunID {
			t.Errorf("both workers got run %s", both[0].RunID)
		}
	})

	t.Run("a wait for a job ends with its context", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := pool(t, q).Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Next() = %v, want context.Canceled", err)
		}
	})

	t.Run("a pool whose name would reach other subjects is refused", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		for _, name := range []string{"", "a.b", "*", ">", "a b"} {
			if err := q.PublishJob(t.Context(), name, job()); provision.KindOf(err) != provision.Invalid {
				t.Errorf("PublishJob(%q) = %v, want Invalid", name, err)
			}
			if _, err := q.Pool(name, "worker-1"); provision.KindOf(err) != provision.Invalid {
				t.Errorf("Pool(%q) = %v, want Invalid", name, err)
			}
		}
	})
}

func TestReports(t *testing.T) {
	t.Parallel()

	t.Run("reports arrive in order, each once although it is published twice", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		var got seen[int64]
		runs(t, func(ctx context.Context) error {
			return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error { got.add(r.Sequence); return nil })
		})
		for n := int64(1); n <= 20; n++ {
			for range 2 {
				if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		inOrder(t, got.await(t, 20), 20)
	})

	t.Run("a report that cannot be taken now comes again before those after it", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		for n := int64(1); n <= 5; n++ {
			if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
				t.Fatal(err)
			}
		}
		var taken seen[int64]
		var refusals int
		runs(t, func(ctx context.Context) error {
			return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error {
				if r.Sequence == 2 && refusals < 2 {
					refusals++
					return provision.Unreachable("the database", nil)
				}
				taken.add(r.Sequence)
				return nil
			})
		})
		inOrder(t, taken.await(t, 5), 5)
	})

	t.Run("two replicas take turns without shuffling", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		other := connect(t, server)
		run, p := provision.NewID(), pool(t, q)
		var taken seen[int64]
		for _, replica := range []*queue.Queue{q, other} {
			runs(t, func(ctx context.Context) error {
				return replica.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error { taken.add(r.Sequence); return nil })
			})
		}
		for n := int64(1); n <= 50; n++ {
			if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
				t.Fatal(err)
			}
		}
		inOrder(t, taken.await(t, 50), 50)
	})

	t.Run("what is no report, and a refused one, are dropped and the next is taken", func(t *testing.T) {
		t.Parallel()
		server := testkit.NATS(t) // no tap: this test publishes nonsense
		q := connect(t, server)
		if err := q.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		run, p := provision.NewID(), pool(t, q)
		js := raw(t, server)
		for subject, nonsense := range map[string]string{
			"roadbed.rpt.v1.local.w." + run.String():               "nonsense",
			"roadbed.rpt.v1.local.w." + provision.NewID().String(): `{"run_id":"` + run.String() + `"}`, // another run's
		} {
			if _, err := js.Publish(t.Context(), subject, []byte(nonsense)); err != nil {
				t.Fatal(err)
			}
		}
		for n := int64(1); n <= 2; n++ {
			if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
				t.Fatal(err)
			}
		}
		var got seen[int64]
		runs(t, func(ctx context.Context) error {
			return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error {
				got.add(r.Sequence)
				if r.Sequence == 1 {
					return provision.Errorf(provision.NotFound, "there is no such run")
				}
				return nil
			})
		})
		inOrder(t, got.await(t, 2), 2)
		testkit.Eventually(t, soon, "nothing waits for an answer", func() bool { return waiting(t, server, "REPORTS", "recorder") == 0 })
	})
}
