package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestTheDatabasesClockEndsALife accepts by a sidecar whose clock is a year
// ahead: the life begins when the database says.
func TestTheDatabasesClockEndsALife(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	request := testkit.NewRequest("orders")
	request.Lifetime = 24 * time.Hour
	ahead := time.Now().AddDate(1, 0, 0)
	from := testkit.Created("orders", nil)
	instance := *from.Instance
	instance.RequestID, request.InstanceID, request.Generation = request.ID, instance.ID, 1
	instance.Sequence, instance.Reserved = 0, 0
	instance.Lifetime, instance.Grace = request.Lifetime, time.Hour
	record := accept(t, store, provision.Accepted(request, instance, nil, ahead))
	kept, err := store.Instance(t.Context(), instance.ID)
	if err != nil {
		t.Fatal(err)
	}
	if kept.ExpiresAt == nil || kept.ExpiresAt.Sub(kept.CreatedAt) != 24*time.Hour || time.Until(*kept.ExpiresAt) > 25*time.Hour {
		t.Errorf("made %s it ends %v, want a day later by the database's clock", kept.CreatedAt, kept.ExpiresAt)
	}
	if !record.Instance.ExpiresAt.Equal(*kept.ExpiresAt) || !record.Instance.DestroyAt.Equal(*kept.DestroyAt) || !record.Instance.WarnAt.Equal(*kept.WarnAt) {
		t.Errorf("who asked was told %s, %s and %s, kept is %s, %s and %s", record.Instance.WarnAt, record.Instance.ExpiresAt, record.Instance.DestroyAt,
			kept.WarnAt, kept.ExpiresAt, kept.DestroyAt)
	}
	// later lets time pass for every instance.
	later := func(d time.Duration) {
		t.Helper()
		_, err := conn.Exec(t.Context(), `UPDATE instances SET created_at = created_at - $1::interval, expires_at = expires_at - $1::interval,
			expiry_warn_at = expiry_warn_at - $1::interval, expiry_destroy_at = expiry_destroy_at - $1::interval`, d)
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, nearing, ended bool) {
		t.Helper()
		near, err1 := store.Nearing(t.Context(), 10)
		end, err2 := store.Ended(t.Context(), 10)
		if err1 != nil || err2 != nil || slices.Contains(near, request.ID) != nearing || (len(end) == 1) != ended {
			t.Errorf("%s: to be warned %v, to be ended %v (%v, %v); want %t and %t", when, near, end, err1, err2, nearing, ended)
		}
	}
	ready(t, store, request.ID)
	want("at first", false, false)
	later(18*time.Hour + time.Minute)
	want("six hours before its end", true, false)
	change(t, store, request.ID, func(r *provision.Record) error { return r.Warn() })
	want("once it was warned of", false, false)
	later(6*time.Hour + time.Minute)
	want("in its grace", false, false)
	later(time.Hour)
	want("after its grace", false, true)
	if ended, _ := store.Ended(t.Context(), 10); ended[0].InstanceID != instance.ID || ended[0].RequestID != request.ID {
		t.Errorf("ended is %+v, want instance %s by request %s", ended, instance.ID, request.ID)
	}
	change(t, store, request.ID, func(r *provision.Record) error { return r.Expired("a freeze") })
	want("once it was refused", false, false)
	later(time.Hour + time.Minute)
	want("an hour after that", false, true)
	if kept, err = store.Instance(t.Context(), instance.ID); err != nil {
		t.Fatal(err)
	}
	isGapless(t, store, instance.ID, kept.Sequence)
}
