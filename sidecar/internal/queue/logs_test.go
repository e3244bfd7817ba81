package queue_test

import (
	"context"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestLogs(t *testing.T) {
	t.Parallel()

	t.Run("lines arrive in order and in batches", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		var lines []provision.LogLine
		for n := int64(1); n <= 1200; n++ {
			lines = append(lines, line(run, n))
		}
		for range 2 { // the second time they are repeats
			eventually(t, "the lines are stored", func() error { return p.PublishLogs(t.Context(), lines) })
		}
		var got seen[int64]
		var calls int
		runs(t, func(ctx context.Context) error {
			return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
				calls++
				for _, l := range lines {
					got.add(l.Number)
				}
				return nil
			})
		})
		inOrder(t, got.await(t, 1200), 1200)
		if calls > 100 {
			t.Errorf("1200 lines came in %d calls, want batches", calls)
		}
	})

	t.Run("two replicas do not shuffle a run's lines, and one goes on without the other", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		var got, first seen[int64]
		keep := func(mine *seen[int64]) func(context.Context, []provision.LogLine) error {
			return func(_ context.Context, lines []provision.LogLine) error {
				for _, l := range lines {
					got.add(l.Number)
					mine.add(l.Number)
				}
				return nil
			}
		}
		replica := connect(t, server)
		stop := runs(t, func(ctx context.Context) error { return replica.ConsumeLogs(ctx, keep(&first)) })
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1)}); err != nil {
			t.Fatal(err)
		}
		got.await(t, 1)
		runs(t, func(ctx context.Context) error { return q.ConsumeLogs(ctx, keep(&seen[int64]{})) })
		for n := int64(2); n <= 100; n++ {
			if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, n)}); err != nil {
				t.Fatal(err)
			}
		}
		inOrder(t, got.await(t, 100), 100)
		stop()
		replica.Close()
		had := len(first.all())
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 101)}); err != nil {
			t.Fatal(err)
		}
		inOrder(t, got.await(t, 101), 101)
		if len(first.all()) != had {
			t.Error("a replica that has stopped was given a line")
		}
	})

	t.Run("lines that cannot be kept now come again", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1), line(run, 2), line(run, 3)}); err != nil {
			t.Fatal(err)
		}
		var got seen[int64]
		var down bool
		runs(t, func(ctx context.Context) error {
			return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
				if !down {
					down = true
					return provision.Unreachable("the database", nil)
				}
				for _, l := range lines {
					got.add(l.Number)
				}
				return nil
			})
		})
		got.await(t, 3)
	})

	t.Run("one bad line costs no other", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1), line(run, 2), line(run, 3)}); err != nil {
			t.Fatal(err)
		}
		var got seen[int64]
		runs(t, func(ctx context.Context) error {
			return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
				for _, l := range lines {
					if l.Number == 2 {
						return provision.Errorf(provision.Invalid, "line 2 is bad")
					}
				}
				for _, l := range lines {
					got.add(l.Number)
				}
				return nil
			})
		})
		if all := got.await(t, 2); all[0] != 1 || all[1] != 3 {
			t.Errorf("kept lines %v, want 1 and 3", all)
		}
	})

	t.Run("a line that is too long is refused and the others are stored", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		run := provision.NewID()
		long := line(run, 1)
		long.Text = string(make([]byte, 200<<10))
		err := pool(t, q).PublishLogs(t.Context(), []provision.LogLine{long, line(run, 2)})
		if provision.KindOf(err) != provision.Invalid {
			t.Errorf("PublishLogs() = %v, want Invalid", err)
		}
		if n := stored(t, server, "LOGS"); n != 1 {
			t.Errorf("%d lines are stored, want 1", n)
		}
	})
}
