package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// lost is a request whose worker fell silent after it had made the database.
func (r *rig) lost(name string) (api.Request, provision.Claim) {
	r.t.Helper()
	request, claim := r.applying(name)
	r.report(claim.RunID, provision.Report{Kind: provision.ReportAddress, Address: "postgres_database.main", Action: "create", Status: "completed", ResourceID: name + "_1"})
	_, err := r.service.Store.ChangeRun(r.t.Context(), claim.RunID, func(record *provision.Record) error {
		record.Run.LeaseExpiresAt = record.Now().Add(-time.Second)
		return record.Expire()
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return request, claim
}

func TestALostRequestIsRecoveredAtAnOperatorsWord(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx := t.Context()
	request, claim := r.lost("orders")
	if _, err := r.as(ann).Attest(ctx, request.Id, "it is gone"); provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), "platform-team") {
		t.Errorf("ann attests: %v, want a denial that says who may", err)
	}
	if _, err := r.as(ann).Recovery(ctx, request.Id); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann looks at the recovery: %v, want a denial", err)
	}
	if _, err := r.as(pat).Attest(ctx, request.Id, ""); provision.KindOf(err) != provision.Invalid {
		t.Errorf("attested without a reason: %v", err)
	}
	if _, err := r.as(pat).Recover(ctx, request.Id, "vm-7 is gone"); provision.KindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "attest first") {
		t.Errorf("recovered before it is attested: %v", err)
	}
	attested, err := r.as(pat).Attest(ctx, request.Id, "vm-7 is gone")
	if err != nil || attested.State != provision.Lost || attested.Run.State != provision.RunEnded {
		t.Fatalf("attested: %+v, %v", attested, err)
	}
	if _, err := r.worker(poolToken).Renew(ctx, claim.RunID, claim.Token); provision.KindOf(err) != provision.Conflict {
		t.Errorf("its old worker renews: %v, want a conflict", err)
	}
	recovery, err := r.as(pat).Recover(ctx, request.Id, "vm-7 is gone")
	if err != nil || recovery.Run.State != provision.RunDispatched || recovery.Run.ID == claim.RunID {
		t.Fatalf("recovered: %+v, %v", recovery, err)
	}
	want := []provision.MadeResource{{Address: "postgres_database.main", ResourceID: "orders_1"}}
	if diff := cmp.Diff(want, recovery.Imports); diff != "" {
		t.Errorf("what is to be imported (-want +got):\n%s", diff)
	}
	second, err := r.worker(poolToken).Claim(ctx, recovery.Run.ID)
	if err != nil || second.Fence != claim.Fence+1 {
		t.Fatalf("claimed under token %d, %v", second.Fence, err)
	}
	if diff := cmp.Diff(want, second.Made); diff != "" {
		t.Errorf("what the worker is told (-want +got):\n%s", diff)
	}
	if _, err := r.as(pat).Note(ctx, *request.InstanceId, "postgres_role.owner", "orders_owner", "found"); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a word while a worker is at it: %v, want a conflict", err)
	}
}

func TestAnOperatorSaysWhatIsThereAndHowItEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx := t.Context()
	request, claim := r.lost("orders")
	instance := *request.InstanceId
	for _, address := range []string{"", "-chdir=/", "postgres_database", "a.b; rm", "a.-b"} {
		if _, err := r.as(pat).Note(ctx, instance, address, "x", "found"); provision.KindOf(err) != provision.Invalid {
			t.Errorf("a word about %q: %v, want it refused", address, err)
		}
	}
	if _, err := r.as(pat).Note(ctx, instance, "postgres_role.owner", "orders_owner", "found by its comment"); err != nil {
		t.Fatal(err)
	}
	noted, err := r.as(pat).Note(ctx, instance, "postgres_database.main", "", "dropped by hand")
	if diff := cmp.Diff([]provision.MadeResource{{Address: "postgres_role.owner", ResourceID: "orders_owner"}}, noted.Imports); diff != "" || err != nil {
		t.Errorf("what is to be imported, %v (-want +got):\n%s", err, diff)
	}
	if _, err := r.as(pat).RemoveFromState(ctx, instance, "postgres_role.owner", "it is another's"); provision.KindOf(err) != provision.NotFound {
		t.Errorf("removed where there is no state: %v", err)
	}
	state := `{"version": 4, "serial": 3, "lineage": "l", "outputs": {"endpoint": {"value": "db.example", "type": "string"}}, "resources": [
		{"mode": "managed", "type": "postgres_role", "name": "owner", "instances": [{"attributes": {}}]},
		{"mode": "managed", "type": "postgres_database", "name": "main", "instances": [{"attributes": {}}]}]}`
	sealed, err := r.service.Keys.Seal("local", []byte(state))
	if err != nil {
		t.Fatal(err)
	}
	if head, err := r.worker(poolToken).PushState(ctx, claim.Token, provision.StateVersion{RunID: claim.RunID, Fence: claim.Fence, Serial: 3, Lineage: "l", Sealed: sealed}); err != nil || !head {
		t.Fatalf("the state is pushed: %v %v", head, err)
	}
	rest, err := r.as(pat).RemoveFromState(ctx, instance, "postgres_role.owner", "it is another's")
	if err != nil || *rest.Serial != 4 || len(rest.Resources) != 1 || rest.Resources[0] != "postgres_database.main" || len(rest.Imports) != 0 {
		t.Errorf("the state without the role: %+v, %v", rest, err)
	}
	if _, err := r.as(pat).Attest(ctx, request.Id, "vm-7 is gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.as(pat).Conclude(ctx, request.Id, "perhaps", "who knows"); provision.KindOf(err) != provision.Invalid {
		t.Errorf("concluded as perhaps: %v", err)
	}
	done, err := r.as(pat).Conclude(ctx, request.Id, provision.ResultSucceeded, "seen by hand")
	if err != nil || done.State != provision.Succeeded || len(done.Journal) != 0 {
		t.Fatalf("concluded: %+v, %v", done, err)
	}
	ended, err := r.as(ann).Request(ctx, request.Id)
	if err != nil || ended.State != provision.Succeeded || ended.Outputs["endpoint"] != "db.example" {
		t.Errorf("the request is %s with %v, %v; want it succeeded with what its state says", ended.State, ended.Outputs, err)
	}
	if got := r.raw(http.MethodPost, "/api/roadbed/requests/"+request.Id.String()+"/recovery/attest", r.jsonBy(pat), `{"reason":"x"}`); got.status != http.StatusConflict {
		t.Errorf("attested after its end: %d, want 409", got.status)
	}
}
