package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// publish makes another version of the offering the published one: it has lost
// engine, and needs a tier.
func (s *shop) publish(t *testing.T) {
	t.Helper()
	next := testkit.Offering()
	next.Version, next.Digest = "2.0.0", "sha256:2fff3a"
	next.Parameters = append(next.Parameters, provision.Parameter{Name: "tier", Title: "Tier", Type: "string", Required: true})
	if err := s.store.PutBundle(t.Context(), next, []byte("other files")); err != nil {
		t.Fatal(err)
	}
	*s.published = next
}

func TestAnUpgradeCarriesOverWhatTheNewVersionKnows(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sub := ask("orders", "")
	sub.Parameters["engine"] = "15"
	made, err := s.Submit(t.Context(), ann, sub)
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, made.ID, `{}`)
	if _, err := s.Upgrade(t.Context(), ann, made.InstanceID, change("", nil)); provision.KindOf(err) != provision.Conflict {
		t.Errorf("while it is of the published version: %v, want a conflict", err)
	}
	s.publish(t)
	if got := s.AvailableVersion(s.instance(t, made.InstanceID)); got != "2.0.0" {
		t.Errorf("version %q is available, want 2.0.0", got)
	}
	_, err = s.Upgrade(t.Context(), ann, made.InstanceID, change("", provision.Parameters{"environment": "prod"}))
	var shown *provision.Error
	if !errors.As(err, &shown) || shown.Kind != provision.Invalid || len(shown.Details) != 2 || shown.Details[0].Path != "/tier" || shown.Details[1].Path != "/environment" {
		t.Errorf("without what it needs: %v, want it and what must not change named", err)
	}
	given := provision.Parameters{"tier": "gold"}
	v, err := s.PreviewChange(t.Context(), ann, made.InstanceID, provision.Upgrade, given, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []provision.ParameterChange{{Parameter: "tier", Title: "Tier", After: "gold"}, {Parameter: "engine", Title: "Engine", Before: "15"}}
	if diff := cmp.Diff(want, v.Changes); diff != "" || v.VersionBefore != "1.0.0" || v.VersionAfter != "2.0.0" || !v.Allowed() {
		t.Errorf("preview from %s to %s, %s (-want +got):\n%s", v.VersionBefore, v.VersionAfter, v.Outcome, diff)
	}
	next, err := s.Upgrade(t.Context(), ann, made.InstanceID, change("up", given))
	if err != nil || next.Action != provision.Upgrade || next.OfferingVersion != "2.0.0" || next.Parameters["engine"] != nil || next.Parameters["size"] != "small" {
		t.Fatalf("upgrade = %+v, %v", next, err)
	}
	if i := s.instance(t, made.InstanceID); i.OfferingVersion != "1.0.0" {
		t.Errorf("before the apply it is of %s", i.OfferingVersion)
	}
	s.endAs(t, next.ID, provision.ResultFailed, "it broke")
	if i := s.instance(t, made.InstanceID); i.OfferingVersion != "1.0.0" || i.State != provision.Incomplete {
		t.Errorf("after a failed apply it is %s of %s", i.State, i.OfferingVersion)
	}
	again := s.retried(t, next.ID, "")
	s.work(t, again.ID, `{}`)
	if i := s.instance(t, made.InstanceID); i.OfferingVersion != "2.0.0" || i.OfferingDigest != "sha256:2fff3a" || i.Parameters["tier"] != "gold" || s.AvailableVersion(i) != "" {
		t.Errorf("after the retry it is of %s with %v", i.OfferingVersion, i.Parameters)
	}
	gone, err := s.Destroy(t.Context(), ann, made.InstanceID, provision.Submission{})
	if err != nil || gone.OfferingDigest != "sha256:2fff3a" {
		t.Errorf("it is destroyed by %s (%v), want what made it last", gone.OfferingDigest, err)
	}
}

func TestAnUpgradeRenamesWhatEveryRequestHas(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	s.publish(t)
	s.published.Version, s.published.Digest = "3.0.0", "sha256:3fff3a"
	s.published.Roles.CostCenter, s.published.Roles.Owner = "billed_to", "team"
	for i, p := range s.published.Parameters {
		if p.Name == "tier" {
			s.published.Parameters[i] = provision.Parameter{Name: "team", Type: "string", Required: true}
		}
	}
	_, err := s.Upgrade(t.Context(), ann, made.InstanceID, change("", provision.Parameters{"team": "search"}))
	if provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), "team is group:default/payments and stays so") {
		t.Errorf("to another team: %v, want invalid", err)
	}
	next, err := s.Upgrade(t.Context(), ann, made.InstanceID, change("", nil))
	if err != nil || next.Parameters["team"] != "payments" || next.Parameters["billed_to"] != "cc-1001" || next.CostCenter != "cc-1001" || next.Owner != "group:default/payments" {
		t.Errorf("upgrade = %+v, %v; want the names of the new version with what was", next, err)
	}
}
