package provision_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// stuck are rules that answer submit and, while someone waits for advice, never
// come to an end.
type stuck struct{ first chan struct{} }

func (s stuck) Findings(ctx context.Context, _ provision.RuleInput) ([]provision.Finding, string, error) {
	select {
	case s.first <- struct{}{}:
		return []provision.Finding{{Rule: "limit", Level: provision.LevelDeny, Message: "too dear."}}, "sha256:b0b0", nil
	default:
	}
	<-ctx.Done()
	return nil, "", ctx.Err()
}

func (stuck) Budgets(context.Context, []provision.Scope) ([]provision.Budget, error) {
	return nil, nil
}

func (stuck) Allowance(context.Context, provision.RuleInput) (*provision.Allowance, error) {
	return nil, nil
}

func TestADenialDoesNotWaitForItsAlternatives(t *testing.T) {
	s := newShop(t)
	s.Judge.Rules = stuck{make(chan struct{}, 1)}
	began := time.Now()
	request, err := s.Submit(t.Context(), ann, ask("orders", "one"))
	var denied *provision.Error
	if !errors.As(err, &denied) || denied.Kind != provision.Denied || denied.RequestID == "" || denied.Message != "too dear." {
		t.Fatalf("Submit = %v, want the denial", err)
	}
	if len(denied.Alternatives) != 0 {
		t.Errorf("alternatives = %v from rules that never answered", denied.Alternatives)
	}
	if request.State != provision.DeniedState {
		t.Errorf("request is %s, want denied", request.State)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the denial took %s", took)
	}
}

func TestADenialAndItsReplayNameWhatWouldBeAllowed(t *testing.T) {
	s := newShop(t)
	s.AlternativesWithin = time.Minute // a busy machine is no reason to find none
	sub := ask("orders", "one")
	sub.Parameters["size"] = "xlarge" // has no price
	for _, when := range []string{"first", "again"} {
		_, err := s.Submit(t.Context(), ann, sub)
		var denied *provision.Error
		if !errors.As(err, &denied) || denied.Kind != provision.Denied {
			t.Fatalf("%s: Submit = %v, want a denial", when, err)
		}
		if len(denied.Alternatives) != 1 || denied.Alternatives[0].Text != "size xlarge → small" {
			t.Errorf("%s: alternatives = %+v, want the small one", when, denied.Alternatives)
		}
	}
}

func TestAPartialFormIsNotComplainedAbout(t *testing.T) {
	s := newShop(t)
	s.deny = "dev"
	nobody := provision.Principal{Subject: "plugin:search"}
	tests := map[string]struct {
		who   provision.Principal
		given provision.Parameters
		kind  provision.Kind // Internal: an answer
		want  provision.Outcome
	}{
		"without an environment nothing is held against it": {ann, provision.Parameters{"size": "small"}, provision.Internal, provision.OutcomeAllow},
		"with one it is":                           {ann, provision.Parameters{"size": "small", "environment": "dev"}, provision.Internal, provision.OutcomeDeny},
		"one that is not configured is wrong":      {ann, provision.Parameters{"environment": "moon"}, provision.Invalid, ""},
		"empty and null fields are as absent":      {ann, provision.Parameters{"environment": "", "name": nil, "size": "small"}, provision.Internal, provision.OutcomeAllow},
		"another team is refused once it is named": {bob, provision.Parameters{"team_owner": "payments"}, provision.Denied, ""},
		"before that anyone may look":              {bob, provision.Parameters{"size": "small"}, provision.Internal, provision.OutcomeAllow},
		"but only a person":                        {nobody, provision.Parameters{"size": "small"}, provision.Denied, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, err := s.Evaluate(t.Context(), tt.who, provision.Question{Offering: "postgres-database", Parameters: tt.given, Partial: true})
			if tt.kind != provision.Internal {
				if provision.KindOf(err) != tt.kind {
					t.Fatalf("Evaluate = %v, want %s", err, tt.kind)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if answer.Outcome != tt.want {
				t.Errorf("outcome = %s, want %s: %+v", answer.Outcome, tt.want, answer.Findings)
			}
			if known := tt.given["environment"] == "dev"; (answer.Allowance != nil) != known {
				t.Errorf("allowance = %+v", answer.Allowance)
			}
		})
	}
}
