package provision_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *shop) retried(t *testing.T, id uuid.UUID, key string) provision.Request {
	t.Helper()
	request, err := s.Retry(t.Context(), ann, id, provision.Submission{IdempotencyKey: key})
	if err != nil {
		t.Fatalf("retry: %v", err)
	}
	return request
}

func TestARetryGoesOnWithTheSameInstance(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		begin  func(t *testing.T, s *shop) provision.Request // what is going to fail
		action provision.Action
		want   provision.InstanceState // once the retry has succeeded
		size   string
	}{
		"a create": {func(t *testing.T, s *shop) provision.Request {
			request, err := s.Submit(t.Context(), ann, ask("orders", ""))
			if err != nil {
				t.Fatal(err)
			}
			return request
		}, provision.Create, provision.Ready, "small"},
		"an update": {func(t *testing.T, s *shop) provision.Request {
			return s.updated(t, s.provisioned(t, "orders").InstanceID, provision.Parameters{"size": "medium"})
		}, provision.Update, provision.Ready, "medium"},
		"a destroy": {func(t *testing.T, s *shop) provision.Request {
			request, err := s.Destroy(t.Context(), ann, s.provisioned(t, "orders").InstanceID, provision.Submission{})
			if err != nil {
				t.Fatal(err)
			}
			return request
		}, provision.Destroy, provision.Destroyed, "small"},
	}
	for name, tt := range tests {
		for _, result := range []string{provision.ResultFailed, provision.ResultCancelled} {
			t.Run(name+" that "+result, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				first := tt.begin(t, s)
				if _, err := s.Retry(t.Context(), ann, first.ID, provision.Submission{}); provision.KindOf(err) != provision.Conflict {
					t.Errorf("while it goes on: %v, want a conflict", err)
				}
				s.endAs(t, first.ID, result, "dial tcp: connection refused")
				ended, err := s.store.Request(t.Context(), first.ID)
				if err != nil || !strings.Contains(ended.Error.WayOut, "retry to go on") {
					t.Errorf("it ended with %+v (%v), want that it can be retried", ended.Error, err)
				}
				if likely := strings.Contains(ended.Error.WayOut, "cannot be reached"); likely != (result == provision.ResultFailed) {
					t.Errorf("the way out is %q", ended.Error.WayOut)
				}
				if _, err := s.Retry(t.Context(), bob, first.ID, provision.Submission{}); provision.KindOf(err) != provision.Denied {
					t.Errorf("by another team: %v, want denied", err)
				}
				next := s.retried(t, first.ID, "r1")
				if next.ID == first.ID || next.Action != tt.action || next.InstanceID != first.InstanceID || next.Generation != first.Generation+1 || len(next.Steps) != len(first.Steps) {
					t.Errorf("the retry is %+v, want %s of the same instance, one generation on", next, tt.action)
				}
				if tt.action == provision.Create && s.input.Before != nil {
					t.Errorf("the rules saw %v before a create", s.input.Before)
				}
				s.work(t, next.ID, `{}`)
				if again := s.retried(t, first.ID, "r1"); again.ID != next.ID {
					t.Errorf("the same again: %s, want %s", again.ID, next.ID)
				}
				if i := s.instance(t, first.InstanceID); i.State != tt.want || i.Parameters["size"] != tt.size || i.Fence < 2 {
					t.Errorf("the instance is %s, %v with token %d; want %s and %s", i.State, i.Parameters, i.Fence, tt.want, tt.size)
				}
				if _, err := s.Retry(t.Context(), ann, first.ID, provision.Submission{}); provision.KindOf(err) != provision.Conflict {
					t.Errorf("once something newer was asked: %v, want a conflict", err)
				}
			})
		}
	}
}

func TestARetryOfWhatMadeNothingBeginsAnew(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sub := ask("orders", "")
	sub.Parameters["secret"] = "canary"
	first, err := s.Submit(t.Context(), ann, sub)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), ann, first.ID, "not yet"); err != nil {
		t.Fatal(err)
	}
	next := s.retried(t, first.ID, "")
	if next.InstanceID == first.InstanceID || next.Generation != 1 {
		t.Errorf("the retry makes instance %s of generation %d, want a new one", next.InstanceID, next.Generation)
	}
	if sealed, ok := provision.Sealed(next.Parameters["secret"]); !ok || string(sealed) != `local:"canary"` {
		t.Errorf("its secret is %q, want it as it was sealed", sealed)
	}
	if _, err := s.Retry(t.Context(), ann, first.ID, provision.Submission{}); provision.KindOf(err) != provision.Conflict {
		t.Errorf("once the name is taken: %v, want a conflict", err)
	}
}

func TestADenialIsJudgedAgainByARetry(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	s.deny = "dev"
	_, err := s.Update(t.Context(), ann, made.InstanceID, change("", provision.Parameters{"size": "medium"}))
	denied := s.newest(t, provision.DeniedState)
	if provision.KindOf(err) != provision.Denied || denied.InstanceID != made.InstanceID {
		t.Fatalf("update: %v of %s", err, denied.InstanceID)
	}
	if _, err := s.Retry(t.Context(), ann, denied.ID, provision.Submission{}); provision.KindOf(err) != provision.Denied {
		t.Errorf("under the same rules: %v, want denied", err)
	}
	s.deny = ""
	if next := s.retried(t, denied.ID, ""); next.Action != provision.Update || next.Parameters["size"] != "medium" {
		t.Errorf("under other rules: %s to %v, want the update", next.Action, next.Parameters)
	}
}

// newest is the newest request in a state.
func (s *shop) newest(t *testing.T, state provision.State) provision.Request {
	t.Helper()
	page, err := s.store.Requests(t.Context(), provision.RequestFilter{States: []provision.State{state}})
	if err != nil || len(page.Items) == 0 {
		t.Fatalf("no request is %s (%v)", state, err)
	}
	return page.Items[0]
}
