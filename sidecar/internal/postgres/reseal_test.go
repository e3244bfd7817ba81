package postgres_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestResealLeavesNothingToTheOlderKeys seals for keys, gives both holders new
// ones, seals everything anew and then throws the older keys away.
func TestResealLeavesNothingToTheOlderKeys(t *testing.T) {
	t.Parallel()
	store, dir := open(t), t.TempDir()
	if err := keys.Create(dir, "local"); err != nil {
		t.Fatal(err)
	}
	ring := func(holder string) *keys.Ring {
		t.Helper()
		ring, err := keys.Load(dir, holder)
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	seal := func(text string) []byte {
		t.Helper()
		sealed, err := ring(keys.Sidecar).Seal("local", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	record := accept(t, store, testkit.Created("orders", func(r *provision.Request) {
		r.Parameters["password"] = provision.SealedValue(seal(`"canary"`))
	}))
	run := claimed(t, store, record.Request.ID).Run
	push := provision.StateVersion{InstanceID: record.Instance.ID, RunID: run.ID, Fence: 1, Serial: 1, Lineage: "l", Sealed: seal("state")}
	if _, err := store.PushState(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	for _, holder := range []string{keys.Sidecar, "local"} {
		if err := keys.Rotate(dir, holder); err != nil {
			t.Fatal(err)
		}
	}
	sidecar := ring(keys.Sidecar)
	anew := func(environment string, sealed []byte) ([]byte, error) {
		if environment != "dev" {
			t.Errorf("something of environment %q", environment)
		}
		plain, err := sidecar.Open(sealed)
		if err != nil {
			return nil, err
		}
		return sidecar.Seal("local", plain)
	}
	for range 2 { // it may be repeated
		done, err := store.Reseal(t.Context(), anew)
		if err != nil || done.States != 1 || done.Parameters != 2 {
			t.Fatalf("Reseal() = %+v, %v; want one state, and the parameter of the request and of its instance", done, err)
		}
	}
	for _, holder := range []string{keys.Sidecar, "local"} {
		if n, err := keys.Retire(dir, holder); err != nil || n != 1 {
			t.Fatalf("Retire(%s) = %d, %v; want 1", holder, n, err)
		}
	}
	request, err := store.Request(t.Context(), record.Request.ID)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := store.Instance(t.Context(), record.Instance.ID)
	if err != nil {
		t.Fatal(err)
	}
	head, err := store.LatestState(t.Context(), record.Instance.ID)
	if err != nil {
		t.Fatal(err)
	}
	ofRequest, _ := provision.Sealed(request.Parameters["password"])
	ofInstance, _ := provision.Sealed(instance.Parameters["password"])
	for what, sealed := range map[string][]byte{"state": head.Sealed, `"canary"`: ofRequest, `"canary" `: ofInstance} {
		for _, holder := range []string{keys.Sidecar, "local"} {
			if plain, err := ring(holder).Open(sealed); err != nil || string(plain) != string(bytes.TrimSpace([]byte(what))) {
				t.Errorf("with its newest key alone %s opens %q, %v; want %s", holder, plain, err, what)
			}
		}
	}
	before, _ := json.Marshal(record.Request.Shown())
	if after, _ := json.Marshal(request.Shown()); !bytes.Equal(before, after) {
		t.Errorf("the other parameters became %s, were %s", after, before)
	}
	// The push whose answer was lost comes again, as it was sealed first.
	if _, err := store.PushState(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	if again, err := store.LatestState(t.Context(), record.Instance.ID); err != nil || !bytes.Equal(again.Sealed, head.Sealed) || time.Since(again.At) < 0 {
		t.Errorf("a repeated push put the older sealing back: %v", err)
	}
}
