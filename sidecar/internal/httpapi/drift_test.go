package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// drifted has an instance checked and its connection limit found changed.
func (r *rig) drifted(instance uuid.UUID, actual int) {
	r.t.Helper()
	if _, err := r.as(ann).CheckDrift(r.t.Context(), instance); err != nil {
		r.t.Fatalf("ask for a check: %v", err)
	}
	worker := r.worker(poolToken)
	check, err := worker.ClaimCheck(r.t.Context(), false)
	if err != nil || check == nil || check.InstanceID != instance {
		r.t.Fatalf("claim a check: %+v, %v", check, err)
	}
	asked := provision.Change{
		Address: "postgres_database.main", Type: "postgres_database", Action: "update",
		Before: map[string]any{"connection_limit": actual}, After: map[string]any{"connection_limit": 50},
	}
	moved := asked
	moved.Before, moved.After = asked.After, asked.Before
	err = worker.FinishCheck(r.t.Context(), instance, check.Token, provision.Checked{Changes: []provision.Change{asked}, Drifted: []provision.Change{moved}})
	if err != nil {
		r.t.Fatalf("finish the check: %v", err)
	}
}

func TestDriftOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request := r.ready("orders")
	id := *request.InstanceId
	before, err := r.as(ann).Drift(t.Context(), id)
	if err != nil || before.HasDrift || before.Differences != nil || before.Check.CheckedAt != nil {
		t.Fatalf("before any check: %+v, %v", before, err)
	}
	if raw := r.raw(http.MethodGet, "/api/roadbed/instances/"+id.String()+"/drift", r.jsonBy(ann), ""); strings.Contains(raw.body, "differences") || strings.Contains(raw.body, "cause") {
		t.Errorf("without drift is answered %s", raw.body)
	}
	r.drifted(id, 7)
	drift, err := r.as(ann).Drift(t.Context(), id)
	if err != nil || !drift.HasDrift || len(*drift.Differences) != 1 || (*drift.Titles)[0] != "connection_limit of postgres_database.main is 7" {
		t.Fatalf("drift is %+v, %v", drift, err)
	}
	instance, err := r.as(ann).Instance(t.Context(), id)
	if err != nil || instance.Instance.Drift == nil || instance.Instance.Drift.Cause != *drift.Cause || instance.Instance.Drift.Count != 1 {
		t.Errorf("the instance says %+v, %v", instance.Instance.Drift, err)
	}
	other := r.ready("billing")
	r.drifted(*other.InstanceId, 7)
	groups, err := r.as(pat).DriftGroups(t.Context(), false)
	if err != nil || len(groups) != 1 || len(groups[0].Instances) != 2 || groups[0].Attribute != "connection_limit" {
		t.Errorf("one change to two instances is %+v, %v", groups, err)
	}
	until := time.Now().Add(time.Hour)
	if _, err := r.as(ann).SuppressDrift(t.Context(), id, api.DriftSuppression{Until: until}); provision.KindOf(err) != provision.Invalid {
		t.Errorf("suppressed without a reason: %v", err)
	}
	if _, err := r.as(ann).SuppressDrift(t.Context(), id, api.DriftSuppression{Until: until, Reason: "load test", Cause: drift.Cause}); err != nil {
		t.Errorf("suppress: %v", err)
	}
	if groups, err := r.as(pat).DriftGroups(t.Context(), false); err != nil || len(groups) != 1 || len(groups[0].Instances) != 1 {
		t.Errorf("with one suppressed: %+v, %v", groups, err)
	}
}

func TestWhoMayAskAboutDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := *r.ready("orders").InstanceId
	for _, who := range []string{ann, pat} {
		if _, err := r.as(who).Drift(t.Context(), id); err != nil {
			t.Errorf("%s reads it: %v", who, err)
		}
		if _, err := r.as(who).CheckDrift(t.Context(), id); err != nil {
			t.Errorf("%s has it checked: %v", who, err)
		}
	}
	_, err := r.as(bob).Drift(t.Context(), id)
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).CheckDrift(t.Context(), id)
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).SuppressDrift(t.Context(), id, api.DriftSuppression{Until: time.Now().Add(time.Hour), Reason: "no"})
	kindOf(t, err, provision.Denied)
	_, err = r.as(ann).Drift(t.Context(), uuid.New())
	kindOf(t, err, provision.NotFound)
	if refused := r.raw(http.MethodGet, "/api/roadbed/drift?suppressed=perhaps", r.jsonBy(ann), ""); refused.status != http.StatusBadRequest {
		t.Errorf("suppressed=perhaps is answered %d", refused.status)
	}
}

func TestDriftCheckIsItsWorkersAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := *r.ready("orders").InstanceId
	if _, err := r.as(ann).CheckDrift(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if check, err := r.worker(otherPoolToken).ClaimCheck(t.Context(), false); err != nil || check != nil {
		t.Fatalf("another pool is given %+v, %v", check, err)
	}
	worker := r.worker(poolToken)
	if check, err := worker.ClaimCheck(t.Context(), true); err != nil || check != nil {
		t.Fatalf("a busy worker is given %+v, %v", check, err)
	}
	check, err := worker.ClaimCheck(t.Context(), false)
	if err != nil || check == nil || check.Parameters["database_name"] != "orders" || check.Tags["RequestID"] != check.RequestID.String() {
		t.Fatalf("claim: %+v, %v", check, err)
	}
	if again, err := worker.ClaimCheck(t.Context(), false); err != nil || again != nil {
		t.Errorf("a check is given twice: %+v, %v", again, err)
	}
	if version, err := worker.CheckedState(t.Context(), id, check.Token); err != nil || len(version.Sealed) == 0 || version.Serial != 3 {
		t.Errorf("its state: %+v, %v", version, err)
	}
	_, err = worker.CheckedState(t.Context(), id, "another token")
	kindOf(t, err, provision.Conflict)
	_, err = r.worker(otherPoolToken).CheckedState(t.Context(), id, check.Token)
	kindOf(t, err, provision.NotFound)
	kindOf(t, r.worker(otherPoolToken).FinishCheck(t.Context(), id, check.Token, provision.Checked{}), provision.NotFound)
	if err := worker.FinishCheck(t.Context(), id, check.Token, provision.Checked{Failure: "the server is away"}); err != nil {
		t.Fatal(err)
	}
	kindOf(t, worker.FinishCheck(t.Context(), id, check.Token, provision.Checked{}), provision.Conflict)
	drift, err := r.as(ann).Drift(t.Context(), id)
	if err != nil || drift.Check.Failure != "the server is away" || drift.Check.Running || drift.HasDrift {
		t.Errorf("it stands at %+v, %v", drift, err)
	}
	if _, err := r.as(ann).Destroy(t.Context(), "key-destroy", id); err != nil {
		t.Fatal(err)
	}
	_, err = r.as(ann).CheckDrift(t.Context(), id)
	kindOf(t, err, provision.Conflict)
}

func TestEntityIsAnnotatedWhileItDrifts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := *r.ready("orders").InstanceId
	annotation := func() (string, bool) {
		feed, err := r.as("plugin:catalog").Entities(t.Context())
		if err != nil || len(feed.Entities) != 1 {
			t.Fatalf("feed of %d, %v", len(feed.Entities), err)
		}
		cause, ok := feed.Entities[0].Metadata.Annotations["roadbed.dev/drift"]
		return cause, ok
	}
	if _, ok := annotation(); ok {
		t.Error("it is annotated before it drifts")
	}
	r.drifted(id, 7)
	if cause, ok := annotation(); !ok || cause == "" {
		t.Error("it is not annotated while it drifts")
	}
	if _, err := r.as(ann).SuppressDrift(t.Context(), id, api.DriftSuppression{Until: time.Now().Add(time.Hour), Reason: "load test"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := annotation(); ok {
		t.Error("it is annotated while suppressed")
	}
}

func TestDriftIsAnsweredOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := *r.ready("orders").InstanceId
	_, err := r.as(ann).RevertDrift(t.Context(), "key-1", id, "")
	kindOf(t, err, provision.Conflict)
	r.drifted(id, 60)
	drift, err := r.as(ann).Drift(t.Context(), id)
	if err != nil || drift.Adoption == nil || !drift.Adoption.Possible || !strings.HasPrefix(drift.Adoption.Summary, "max_connections not set → 60: $85.50 a month as before") {
		t.Fatalf("the adoption is %+v, %v", drift.Adoption, err)
	}
	_, err = r.as(bob).AdoptDrift(t.Context(), "key-2", id, "")
	kindOf(t, err, provision.Denied)
	_, err = r.as(ann).AdoptDrift(t.Context(), "key-3", id, "another")
	kindOf(t, err, provision.Conflict)
	adopt, err := r.as(ann).AdoptDrift(t.Context(), "key-4", id, *drift.Cause)
	if err != nil || adopt.Action != provision.Adopt || adopt.State != provision.Queued {
		t.Fatalf("adopt: %+v, %v", adopt, err)
	}
	worker := r.worker(poolToken)
	claim, err := worker.Claim(t.Context(), r.dispatch(adopt.Id))
	if err != nil {
		t.Fatal(err)
	}
	disturbs := provision.Change{Address: "postgres_database.main", Type: "postgres_database", Action: "update"}
	refused := kindOf(t, worker.Plan(t.Context(), claim.RunID, claim.Token, []provision.Change{disturbs}), provision.Denied)
	if len(refused.Findings) == 0 || refused.Findings[0].Rule != "adopt_changes" {
		t.Errorf("an adoption that changes what has drifted is refused with %+v", refused.Findings)
	}
	instance, err := r.as(ann).Instance(t.Context(), id)
	if err != nil || instance.Instance.Parameters["custom_parameters"] != nil && len(instance.Instance.Parameters["custom_parameters"].(map[string]any)) > 0 {
		t.Errorf("after the denial it asks for %v, %v", instance.Instance.Parameters, err)
	}
}
