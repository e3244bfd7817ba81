package provision_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// based is a shop with these ready in staging.
func based(t *testing.T, names ...string) *shop {
	t.Helper()
	s := newShop(t)
	s.published.Preview = provision.PreviewRules{Set: provision.Parameters{"size": "small"}}
	s.Environments["staging"] = provision.Environment{Name: "staging", Implementation: "local", Pool: "local"}
	for _, name := range names {
		sub := ask(name, "base-"+name)
		sub.Parameters["environment"] = "staging"
		made, err := s.Submit(t.Context(), ann, sub)
		if err != nil {
			t.Fatal(err)
		}
		s.work(t, made.ID, `{"outputs": {}}`)
	}
	return s
}

// preview is the ask for an ephemeral environment of a pull request 42.
func preview(repository string) provision.EphemeralAsk {
	return provision.EphemeralAsk{
		PullRequest: provision.PullRequest{Repository: repository, Number: 42, Base: "staging"}, Owner: "payments", Environment: "dev", Lifetime: 24 * time.Hour,
	}
}

func TestAnotherTeamsCopyForTheSamePullRequestIsNotTold(t *testing.T) {
	t.Parallel()
	s := based(t, "orders")
	s.Environments["trial"] = provision.Environment{Name: "trial", Implementation: "local", Pool: "local"}
	_, members, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "k")
	if err != nil || members[0].Err != nil {
		t.Fatalf("made %+v, %v", members, err)
	}
	theirs := ask("orders", "base-theirs")
	theirs.Parameters["environment"], theirs.Parameters["team_owner"] = "trial", "search"
	made, err := s.Submit(t.Context(), bob, theirs)
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, made.ID, `{"outputs": {}}`)
	same := preview("acme/orders")
	same.Owner, same.PullRequest.Base = "search", "trial"
	_, members, err = s.MakeEphemeral(t.Context(), bob, same, "k")
	if err != nil || len(members) != 1 || provision.KindOf(members[0].Err) != provision.Conflict || members[0].Request.Owner == "group:default/payments" {
		t.Errorf("bob's copy of the same pull request: %+v, %v; want a Conflict that shows nothing of ann's", members, err)
	}
}

func TestTwoRepositoriesMayHaveTheSameNumber(t *testing.T) {
	t.Parallel()
	s := based(t, "orders")
	// Both ask at once: one has the plain name, the other one of its own.
	var names [2]string
	var wait sync.WaitGroup
	for n, repository := range []string{"acme/orders", "acme/site"} {
		wait.Go(func() {
			pull, members, err := s.MakeEphemeral(t.Context(), ann, preview(repository), "k"+repository)
			if err != nil || len(members) != 1 || members[0].Err != nil {
				t.Errorf("%s: %+v (%v), want its copy accepted", repository, members, err)
				return
			}
			names[n] = pull.Name
			if want := pull.Name + "-orders"; members[0].Request.Name != want {
				t.Errorf("the copy is %q, want %q", members[0].Request.Name, want)
			}
		})
	}
	wait.Wait()
	if plain := names[0] == "pr-42"; plain == (names[1] == "pr-42") || len(names[0])+len(names[1]) != len("pr-42")+len("pr-42-1a2b") {
		t.Errorf("they are called %q, want pr-42 and pr-42 with four digits more", names)
	}
	again, members, err := s.MakeEphemeral(t.Context(), ann, preview("acme/site"), "another key")
	if err != nil || again.Name != names[1] || members[0].Err != nil {
		t.Errorf("asked for again: %q with %+v (%v), want %q as it is", again.Name, members, err, names[1])
	}
}

func TestWhatIsThereIsNotAskedForTwice(t *testing.T) {
	t.Parallel()
	s := based(t, "orders")
	_, first, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "push 1")
	if err != nil || first[0].Err != nil {
		t.Fatal(err, first)
	}
	_, second, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "push 2")
	if err != nil || second[0].Err != nil || second[0].Request.ID != first[0].Request.ID {
		t.Errorf("the next push: %+v (%v), want the same request", second, err)
	}
}

func TestAnAskOfTheWholeSaysWhatBecameOfEach(t *testing.T) {
	t.Parallel()
	s := based(t, "billing", "orders")
	pull, members, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		s.work(t, m.Request.ID, `{"outputs": {}}`)
	}
	if _, err := s.Extend(t.Context(), ann, members[0].Request.InstanceID, time.Hour, provision.Submission{IdempotencyKey: "one"}); err != nil {
		t.Fatal(err)
	}
	outcomes, err := s.ExtendEphemeral(t.Context(), ann, pull.ID, time.Hour, "both")
	if err != nil || len(outcomes) != 2 {
		t.Fatalf("extend with one busy: %+v (%v), want both told of", outcomes, err)
	}
	if provision.KindOf(outcomes[0].Err) != provision.Conflict || outcomes[1].Err != nil || outcomes[1].Request.Name != "pr-42-orders" {
		t.Errorf("outcomes are %+v, want a conflict for the busy one and the other accepted", outcomes)
	}
	if _, err := s.ExtendEphemeral(t.Context(), ann, pull.ID, 2*time.Hour, "again"); provision.KindOf(err) != provision.Conflict {
		t.Errorf("with both busy: %v, want a conflict", err)
	}
}

func TestLabelsOfAPreviewMoveWithItsEndAndAreNoDrift(t *testing.T) {
	t.Parallel()
	s := based(t, "orders")
	pull, members, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "k")
	if err != nil {
		t.Fatal(err)
	}
	id := members[0].Request.InstanceID
	labelled := func(tags map[string]string) map[string]string {
		kept := map[string]string{}
		for _, name := range []string{"type", "repository", "pull_request", "expires_at"} {
			kept[name] = tags[name]
		}
		return kept
	}
	want := map[string]string{
		"type": "ephemeral", "repository": "acme/orders", "pull_request": "42",
		"expires_at": s.instance(t, id).CreatedAt.Add(24 * time.Hour).UTC().Format(time.RFC3339),
	}
	s.work(t, members[0].Request.ID, `{"outputs": {}}`)
	checked := func(after string) map[string]string {
		t.Helper()
		if _, err := s.CheckDrift(t.Context(), ann, id); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			check, err := s.runs.ClaimCheck(t.Context(), "local", "w1", false)
			if err != nil || check == nil {
				t.Fatalf("%s: no check is due (%v)", after, err)
			}
			if check.InstanceID == id {
				if err := s.runs.FinishCheck(t.Context(), "local", id, check.Token, provision.Checked{}); err != nil {
					t.Fatal(err)
				}
				return labelled(check.Tags)
			}
		}
		t.Fatalf("%s: its check is never given out", after)
		return nil
	}
	if diff := cmp.Diff(want, checked("made")); diff != "" {
		t.Errorf("labels of a check (-want +got):\n%s", diff)
	}
	longer, err := s.ExtendEphemeral(t.Context(), ann, pull.ID, 12*time.Hour, "e")
	if err != nil {
		t.Fatal(err)
	}
	want["expires_at"] = s.instance(t, id).CreatedAt.Add(36 * time.Hour).UTC().Format(time.RFC3339)
	if diff := cmp.Diff(want, labelled(s.workTags(t, longer[0].Request.ID))); diff != "" {
		t.Errorf("labels that the extension applies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, checked("extended")); diff != "" {
		t.Errorf("labels of a check after it (-want +got):\n%s", diff)
	}
	plain, err := s.Submit(t.Context(), ann, ask("plain", "plain"))
	if err != nil {
		t.Fatal(err)
	}
	if tags := s.workTags(t, plain.ID); tags["type"] != "" || tags["expires_at"] != "" {
		t.Errorf("what is for itself is tagged %v, want no labels of a preview", tags)
	}
}
