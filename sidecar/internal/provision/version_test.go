package provision_test

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

var pat = provision.Principal{Subject: "user:default/pat", Groups: []string{""}} // may do what belongs to no owner

// serving makes the shop serve what is published of two versions.
func serving(t *testing.T) (*shop, func(version string, next provision.VersionState)) {
	t.Helper()
	s := newShop(t)
	first := *s.published
	second := testkit.Offering()
	second.Version, second.Digest = "1.1.0", "sha256:11ff3a"
	if err := s.store.PutBundle(t.Context(), second, []byte("other files")); err != nil {
		t.Fatal(err)
	}
	for _, o := range []provision.Offering{first, second} {
		if err := s.store.KnowVersion(t.Context(), o, provision.Draft); err != nil {
			t.Fatal(err)
		}
	}
	*s.published = second // the folder has the draft
	s.Publication = provision.NewPublication(s.Catalog)
	s.Catalog = s.Publication
	if err := s.Publication.Refresh(t.Context(), s.store); err != nil {
		t.Fatal(err)
	}
	return s, func(version string, next provision.VersionState) {
		t.Helper()
		if _, err := s.MoveVersion(t.Context(), pat, "postgres-database", version, next, "because"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsAskedForIsThePublishedVersion(t *testing.T) {
	t.Parallel()
	s, move := serving(t)
	made := s.provisioned(t, "orders")
	if made.OfferingVersion != "1.0.0" {
		t.Errorf("while 1.1.0 is a draft, %s was made", made.OfferingVersion)
	}
	if v := s.AvailableVersion(s.instance(t, made.InstanceID)); v != "" {
		t.Errorf("a draft is available: %s", v)
	}
	move("1.1.0", provision.Published)
	if next := s.provisioned(t, "billing"); next.OfferingVersion != "1.1.0" {
		t.Errorf("once 1.1.0 is published, %s was made", next.OfferingVersion)
	}
	if v := s.AvailableVersion(s.instance(t, made.InstanceID)); v != "1.1.0" {
		t.Errorf("available is %q", v)
	}
	move("1.1.0", provision.Withdrawn)
	if next := s.provisioned(t, "carts"); next.OfferingVersion != "1.0.0" {
		t.Errorf("once 1.1.0 is withdrawn, %s was made", next.OfferingVersion)
	}
	move("1.0.0", provision.Deprecated)
	if _, err := s.Submit(t.Context(), ann, ask("dues", "")); err != nil || s.input.Offering.State != provision.Deprecated {
		t.Errorf("the rules saw version %s as %q, %v", s.input.Offering.Version, s.input.Offering.State, err)
	}
	move("1.0.0", provision.Withdrawn)
	_, err := s.Submit(t.Context(), ann, ask("ends", ""))
	if provision.KindOf(err) != provision.Conflict || len(s.Catalog.Offerings()) != 0 {
		t.Errorf("with no version published: %v; offered are %d", err, len(s.Catalog.Offerings()))
	}
}

func TestWhatIsQueuedIsJudgedByWhatItsVersionHasBecome(t *testing.T) {
	t.Parallel()
	s, move := serving(t)
	queued, err := s.Submit(t.Context(), ann, ask("orders", ""))
	if err != nil {
		t.Fatal(err)
	}
	if s.input.Offering.State != "" {
		t.Errorf("the rules saw a published version as %q", s.input.Offering.State)
	}
	move("1.0.0", provision.Withdrawn)
	if _, err := s.store.Change(t.Context(), queued.ID, func(r *provision.Record) error {
		_, err := s.runs.JudgeQueued(t.Context(), r)
		return err
	}); err != nil || s.input.Offering.State != provision.Withdrawn {
		t.Errorf("the rules saw %q, %v; want withdrawn", s.input.Offering.State, err)
	}
}

func TestOnlyWhoMayPublishMovesVersions(t *testing.T) {
	t.Parallel()
	s, _ := serving(t)
	if _, err := s.MoveVersion(t.Context(), ann, "postgres-database", "1.1.0", provision.Published, ""); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann publishes: %v", err)
	}
	if _, err := s.MoveVersion(t.Context(), pat, "postgres-database", "1.0.0", provision.Withdrawn, ""); provision.KindOf(err) != provision.Invalid {
		t.Errorf("withdrawn without a reason: %v", err)
	}
}
