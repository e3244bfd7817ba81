package postgres_test

import (
	"sync"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// known makes a version of the testkit's offering known.
func known(t testing.TB, store *postgres.Store, version, digest string, state provision.VersionState) provision.Offering {
	t.Helper()
	o := testkit.Offering()
	o.Version, o.Digest = version, digest
	if err := store.PutBundle(t.Context(), o, []byte("files of "+version)); err != nil {
		t.Fatal(err)
	}
	if err := store.KnowVersion(t.Context(), o, state); err != nil {
		t.Fatal(err)
	}
	return o
}

func states(t testing.TB, store *postgres.Store) map[string]provision.VersionState {
	t.Helper()
	versions, err := store.Versions(t.Context(), "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]provision.VersionState{}
	for _, v := range versions {
		states[v.Version] = v.State
	}
	return states
}

func TestTheFirstVersionIsPublishedAndLaterOnesAreWhatIsSaid(t *testing.T) {
	t.Parallel()
	store := open(t)
	known(t, store, "1.0.0", "sha256:1", provision.Draft)
	known(t, store, "2.0.0", "sha256:2", provision.Draft)
	known(t, store, "3.0.0", "sha256:3", provision.Published)
	known(t, store, "2.0.0", "sha256:2", provision.Published) // a draft stays one until somebody publishes it
	got := states(t, store)
	if got["1.0.0"] != provision.Published || got["2.0.0"] != provision.Draft || got["3.0.0"] != provision.Published {
		t.Errorf("states are %v", got)
	}
	versions, err := store.Versions(t.Context(), "")
	if err != nil || versions[0].Version != "3.0.0" {
		t.Fatalf("the latest served is %+v, %v", versions[0], err)
	}
	known(t, store, "1.0.0", "sha256:1", provision.Draft)
	if versions, _ = store.Versions(t.Context(), ""); versions[0].Version != "3.0.0" {
		t.Errorf("where people publish, a start served %s again", versions[0].Version)
	}
	known(t, store, "1.0.0", "sha256:1", provision.Published)
	if versions, _ = store.Versions(t.Context(), ""); versions[0].Version != "1.0.0" {
		t.Errorf("going back to the older folder serves %s", versions[0].Version)
	}
	events, err := store.EventsAfter(t.Context(), versions[0].ID, 0, 10)
	if err != nil || len(events) != 1 || events[0].Type() != "dev.roadbed.offering.published.v1" || events[0].Data["by"] != provision.ServeSubject {
		t.Errorf("told %+v, %v", events, err)
	}
}

func TestSidecarsThatStartTogetherPublishOneFirstVersion(t *testing.T) {
	t.Parallel()
	store := open(t)
	var all sync.WaitGroup
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0", "4.0.0"} {
		all.Go(func() { known(t, store, version, "sha256:"+version, provision.Draft) })
	}
	all.Wait()
	published := 0
	for _, state := range states(t, store) {
		if state == provision.Published {
			published++
		}
	}
	if published != 1 {
		t.Errorf("%d versions are published, want the first alone", published)
	}
}

func TestAVersionMovesOnceAndTellsOfIt(t *testing.T) {
	t.Parallel()
	store := open(t)
	known(t, store, "1.0.0", "sha256:0fff3a", provision.Published)
	created := accept(t, store, testkit.Created("orders", nil))
	withdraw := func(v *provision.Version) (*provision.Event, error) {
		return v.Move(provision.Withdrawn, "user:default/pat", "it corrupts", time.Now())
	}
	for range 2 {
		v, err := store.ChangeVersion(t.Context(), "postgres-database", "1.0.0", withdraw)
		if err != nil || v.State != provision.Withdrawn || v.Reason != "it corrupts" {
			t.Fatalf("withdrawn: %+v, %v", v, err)
		}
	}
	versions, err := store.Versions(t.Context(), "postgres-database")
	if err != nil || len(versions) != 1 || versions[0].Instances != 1 || versions[0].By != "user:default/pat" {
		t.Fatalf("versions are %+v, %v; want one, of which there is %s", versions, err, created.Instance.Name)
	}
	events, err := store.EventsAfter(t.Context(), versions[0].ID, 0, 10)
	if err != nil || len(events) != 2 || events[1].Verb != "withdrawn" || events[1].Data["before"] != "published" {
		t.Errorf("told %+v, %v", events, err)
	}
	if _, err := store.ChangeVersion(t.Context(), "postgres-database", "9.0.0", withdraw); kindOf(err) != provision.NotFound {
		t.Errorf("an unknown version: %v", err)
	}
	if _, err := store.ChangeVersion(t.Context(), "postgres-database", "sha256:0fff3a", func(v *provision.Version) (*provision.Event, error) {
		return v.Move(provision.Deprecated, "user:default/pat", "late", time.Now())
	}); kindOf(err) != provision.Conflict {
		t.Errorf("a withdrawn version became deprecated: %v", err)
	}
}
