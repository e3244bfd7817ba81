package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// shelf is a bucket in memory.
type shelf struct {
	kept map[string][]byte
	err  error
}

func (s *shelf) Put(_ context.Context, key string, body []byte) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	s.kept["shelf/"+key] = bytes.Clone(body)
	return "shelf/" + key, nil
}

func (s *shelf) Get(_ context.Context, place string) ([]byte, error) {
	body, there := s.kept[place]
	switch {
	case s.err != nil:
		return nil, s.err
	case !there:
		return nil, provision.Errorf(provision.NotFound, "there is nothing at %s", place)
	}
	return body, nil
}

// inDatabase is how many states have their bytes in the database.
func inDatabase(t *testing.T, dsn string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), `SELECT count(sealed) FROM states`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStatesAreKeptInTheBucketAndFencedInTheDatabase(t *testing.T) {
	t.Parallel()
	dsn, s := testkit.Database(t), &shelf{kept: map[string][]byte{}}
	store, err := postgres.Open(dsn, postgres.Options{Bucket: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	record := claimed(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	push := func(fence, serial int64, sealed string) (bool, error) {
		return store.PushState(t.Context(), provision.StateVersion{
			InstanceID: record.Instance.ID, RunID: record.Run.ID, Fence: fence, Serial: serial, Lineage: "l", Sealed: []byte(sealed),
		})
	}
	for serial := range int64(2) {
		if head, err := push(record.Run.Fence, serial+1, fmt.Sprintf("state %d", serial+1)); err != nil || !head {
			t.Fatalf("push %d: head %v (%v)", serial+1, head, err)
		}
	}
	if head, err := push(record.Run.Fence, 2, "state 2"); err != nil || !head {
		t.Errorf("the same push again: head %v (%v)", head, err)
	}
	if head, err := push(record.Run.Fence-1, 9, "of an older token"); err != nil || head {
		t.Errorf("a push under an older token: head %v (%v), want it kept aside", head, err)
	}
	if n := inDatabase(t, dsn); n != 0 || len(s.kept) != 3 {
		t.Errorf("%d states are in the database and %d in the bucket, want none and 3", n, len(s.kept))
	}
	place := slices.Sorted(maps.Keys(s.kept))[1]
	if want := fmt.Sprintf("shelf/%s/%s/orders-%s/1-1-", record.Instance.Environment, record.Instance.Offering, record.Instance.ShortID); !strings.HasPrefix(place, want) || !strings.HasSuffix(place, ".tfstate.age") {
		t.Errorf("a state is kept at %q, want it under %s", place, want)
	}
	if got, err := store.LatestState(t.Context(), record.Instance.ID); err != nil || string(got.Sealed) != "state 2" {
		t.Errorf("the newest is %q (%v)", got.Sealed, err)
	}

	newest := slices.Sorted(maps.Keys(s.kept))[2]
	for name, break_ := range map[string]func(){
		"an object that was changed":    func() { s.kept[newest] = []byte("another") },
		"an object that is gone":        func() { delete(s.kept, newest) },
		"a bucket that does not answer": func() { s.err = provision.Errorf(provision.Unavailable, "the bucket is away") },
	} {
		whole := maps.Clone(s.kept)
		break_()
		if got, err := store.LatestState(t.Context(), record.Instance.ID); kindOf(err) != provision.Unavailable {
			t.Errorf("%s: %q (%v), want unavailable", name, got.Sealed, err)
		}
		s.kept, s.err = whole, nil
	}
	s.err = provision.Errorf(provision.Unavailable, "the bucket is away")
	if _, err := push(record.Run.Fence, 3, "state 3"); kindOf(err) != provision.Unavailable {
		t.Errorf("pushed while the bucket is away: %v, want unavailable", err)
	}
	s.err = nil
	if got, err := store.LatestState(t.Context(), record.Instance.ID); err != nil || got.Serial != 2 {
		t.Errorf("a push that failed has left serial %d the newest (%v)", got.Serial, err)
	}
	if got, err := openDSN(t, dsn).LatestState(t.Context(), record.Instance.ID); kindOf(err) != provision.Unavailable || !strings.Contains(err.Error(), "--state") {
		t.Errorf("a store without a bucket answers %q (%v), want what to do", got.Sealed, err)
	}
}

func TestStatesMoveToTheBucketAndHome(t *testing.T) {
	t.Parallel()
	dsn, s := testkit.Database(t), &shelf{kept: map[string][]byte{}}
	plain := openDSN(t, dsn)
	record := claimed(t, plain, accept(t, plain, testkit.Created("orders", nil)).Request.ID)
	for serial := range int64(3) {
		_, err := plain.PushState(t.Context(), provision.StateVersion{
			InstanceID: record.Instance.ID, RunID: record.Run.ID, Fence: record.Run.Fence, Serial: serial + 1, Lineage: "l", Sealed: fmt.Appendf(nil, "state %d", serial+1),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := postgres.Open(dsn, postgres.Options{Bucket: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	for _, step := range []struct {
		home                    bool
		moved, database, bucket int
	}{{false, 3, 0, 3}, {false, 0, 0, 3}, {true, 3, 3, 3}, {true, 0, 3, 3}} {
		moved := 0
		if err := store.MoveStates(t.Context(), step.home, func(int) { moved++ }); err != nil {
			t.Fatal(err)
		}
		if n := inDatabase(t, dsn); moved != step.moved || n != step.database || len(s.kept) != step.bucket {
			t.Errorf("moved home %v: %d moved, %d in the database, %d in the bucket; want %+v", step.home, moved, n, len(s.kept), step)
		}
		if got, err := store.LatestState(t.Context(), record.Instance.ID); err != nil || string(got.Sealed) != "state 3" {
			t.Errorf("after a move the newest is %q (%v)", got.Sealed, err)
		}
	}
	if got, err := plain.LatestState(t.Context(), record.Instance.ID); err != nil || string(got.Sealed) != "state 3" {
		t.Errorf("once home it needs no bucket: %q (%v)", got.Sealed, err)
	}
}

func TestStatesInTheBucketAreSealedAnewAndMovedWithTheirOwnDigest(t *testing.T) {
	t.Parallel()
	dsn, s := testkit.Database(t), &shelf{kept: map[string][]byte{}}
	store, err := postgres.Open(dsn, postgres.Options{Bucket: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	record := claimed(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	_, err = store.PushState(t.Context(), provision.StateVersion{
		InstanceID: record.Instance.ID, RunID: record.Run.ID, Fence: record.Run.Fence, Serial: 1, Lineage: "l", Sealed: []byte("state"),
	})
	if err != nil {
		t.Fatal(err)
	}
	anew := func(_ string, sealed []byte) ([]byte, error) { return append([]byte("anew "), sealed...), nil }
	if done, err := openDSN(t, dsn).Reseal(t.Context(), anew); kindOf(err) != provision.Unavailable {
		t.Errorf("without the bucket %d states are sealed anew (%v), want unavailable: the older keys would be retired", done.States, err)
	}
	if done, err := store.Reseal(t.Context(), anew); err != nil || done.States != 1 {
		t.Fatalf("%d states are sealed anew (%v), want 1", done.States, err)
	}
	want := "anew state"
	for _, home := range []bool{true, false} {
		if got, err := store.LatestState(t.Context(), record.Instance.ID); err != nil || string(got.Sealed) != want {
			t.Errorf("the state is %q (%v), want %q", got.Sealed, err, want)
		}
		if err := store.MoveStates(t.Context(), home, func(int) {}); err != nil {
			t.Fatal(err)
		}
		if home {
			if _, err := store.Reseal(t.Context(), anew); err != nil {
				t.Fatal(err)
			}
			want = "anew anew state"
		}
	}
	if got, err := store.LatestState(t.Context(), record.Instance.ID); err != nil || string(got.Sealed) != want {
		t.Errorf("in the bucket again the state is %q (%v), want %q", got.Sealed, err, want)
	}
}
