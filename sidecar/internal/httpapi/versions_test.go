package httpapi_test

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestVersionsArePublishedAndWithdrawnOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	offering, err := r.service.Catalog.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.KnowVersion(t.Context(), offering, provision.Published); err != nil {
		t.Fatal(err)
	}
	c := r.as(ann)
	versions, err := c.OfferingVersions(t.Context(), "postgres-database")
	if err != nil || len(versions) != 1 || versions[0].State != provision.Published || versions[0].By != provision.ServeSubject {
		t.Fatalf("versions = %+v, %v", versions, err)
	}
	if _, err := c.MoveVersion(t.Context(), "postgres-database", offering.Version, provision.Withdrawn, "broken"); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann withdraws it: %v", err)
	}
	platform := r.as(pat)
	if _, err := platform.MoveVersion(t.Context(), "postgres-database", offering.Version, provision.Withdrawn, ""); provision.KindOf(err) != provision.Invalid {
		t.Errorf("withdrawn without a reason: %v", err)
	}
	for range 2 {
		moved, err := platform.MoveVersion(t.Context(), "postgres-database", offering.Digest, provision.Withdrawn, "broken")
		if err != nil || moved.State != provision.Withdrawn || moved.Reason != "broken" || moved.By != pat {
			t.Errorf("withdrawn: %+v, %v", moved, err)
		}
	}
	if _, err := platform.OfferingVersions(t.Context(), "nothing"); provision.KindOf(err) != provision.NotFound {
		t.Errorf("versions of an unknown offering: %v", err)
	}
}
