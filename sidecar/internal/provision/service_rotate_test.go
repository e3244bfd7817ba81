package provision_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// rotating publishes a version of the offering whose credentials can be made anew.
func (s *shop) rotating(t *testing.T) {
	t.Helper()
	o := testkit.Offering()
	o.Version, o.Digest, o.Rotates = "1.1.0", "sha256:707a7e", true
	if err := s.store.PutBundle(t.Context(), o, []byte("files that rotate")); err != nil {
		t.Fatal(err)
	}
	*s.published = o
}

// claimed is what a worker gets for a request whose turn has come.
func (s *shop) claimed(t *testing.T, request uuid.UUID) provision.Claim {
	t.Helper()
	record, err := s.store.Change(t.Context(), request, dispatch)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := s.runs.Claim(t.Context(), "local", "w1", record.Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func (s *shop) rotated(t *testing.T, instance uuid.UUID, key string) provision.Request {
	t.Helper()
	request, err := s.Rotate(t.Context(), ann, instance, provision.Submission{IdempotencyKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// wantVersion holds what a run of the request is given to make credentials by,
// before its apply and once it is at it, and what the instance counts.
func (s *shop) wantVersion(t *testing.T, request provision.Request, given, counted int64) {
	t.Helper()
	claim := s.claimed(t, request.ID)
	if again, err := s.runs.Claim(t.Context(), "local", "w1", claim.RunID); err != nil || again.CredentialsVersion != given || claim.CredentialsVersion != given {
		t.Errorf("%s makes credentials by %d, then %d (%v); want %d", request.Action, claim.CredentialsVersion, again.CredentialsVersion, err, given)
	}
	if _, err := s.store.ChangeRun(t.Context(), claim.RunID, goOn); err != nil {
		t.Fatal(err)
	}
	if _, err := s.runs.Claim(t.Context(), "local", "w1", claim.RunID); provision.KindOf(err) != provision.Conflict {
		t.Errorf("%s is claimed again during its apply: %v, want a conflict", request.Action, err)
	}
	if got := s.instance(t, request.InstanceID).CredentialsVersion; got != counted {
		t.Errorf("once %s is applying the instance counts %d, want %d", request.Action, got, counted)
	}
	if _, err := s.store.ChangeRun(t.Context(), claim.RunID, outcome(provision.ResultFailed, "it broke")); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsAreNeverRotatedBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.rotating(t)
	made := s.provisioned(t, "orders")
	first := s.rotated(t, made.InstanceID, "r1")
	if first.Action != provision.Rotate || first.Generation != 2 || first.MonthlyCost.String() != "$85.50" || first.Steps[2].Name != "Make credentials anew" {
		t.Errorf("rotate = %+v, want queued for generation 2 at the same price", first)
	}
	if again := s.rotated(t, made.InstanceID, "r1"); again.ID != first.ID {
		t.Errorf("the same again is %s, want %s", again.ID, first.ID)
	}
	if _, err := s.Rotate(t.Context(), ann, made.InstanceID, provision.Submission{}); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a second at once: %v, want a conflict", err)
	}
	if _, err := s.Cancel(t.Context(), ann, first.ID, "not now"); err != nil || s.instance(t, made.InstanceID).CredentialsVersion != 1 {
		t.Errorf("cancelled before its apply it counts %d (%v), want 1", s.instance(t, made.InstanceID).CredentialsVersion, err)
	}
	second := s.rotated(t, made.InstanceID, "r2")
	s.wantVersion(t, second, 2, 2)
	s.wantVersion(t, s.updated(t, made.InstanceID, provision.Parameters{"size": "medium"}), 2, 2)
	s.wantVersion(t, s.rotated(t, made.InstanceID, "r3"), 3, 3)
	retried, err := s.Retry(t.Context(), ann, s.instance(t, made.InstanceID).RequestID, provision.Submission{})
	if err != nil || retried.Steps[2].Name != "Make credentials anew" {
		t.Fatalf("retry = %+v, %v", retried.Steps, err)
	}
	s.wantVersion(t, retried, 4, 4)
}

func TestWhatCannotRotateSaysWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	refusal := func() string {
		t.Helper()
		_, err := s.Rotate(t.Context(), ann, made.InstanceID, provision.Submission{})
		if provision.KindOf(err) != provision.Conflict || err == nil {
			t.Fatalf("rotate = %v, want a conflict", err)
		}
		return err.Error()
	}
	if got := refusal(); !strings.Contains(got, "PostgreSQL Database, does not rotate any") {
		t.Errorf("an offering that does not: %q", got)
	}
	s.rotating(t)
	if got := refusal(); !strings.Contains(got, "upgrade it to 1.1.0 first") {
		t.Errorf("a version that does not yet: %q", got)
	}
	if _, err := s.Rotate(t.Context(), bob, made.InstanceID, provision.Submission{}); provision.KindOf(err) != provision.Denied {
		t.Errorf("by another team: %v, want a denial", err)
	}
}
