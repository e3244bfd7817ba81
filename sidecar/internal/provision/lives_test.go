package provision_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestAnyLifeKeepsTheLaws does moves in random order, most of them untimely, and
// checks after each that events and rows agree (life.check) and what may never
// be. A failing seed is printed and repeats.
func TestAnyLifeKeepsTheLaws(t *testing.T) {
	t.Parallel()
	liveAnyLife(t, created, func(provision.Record) string { return "" })
}

// TestAnyLifeOfAChangeLeavesWhatWas is the same of an update: whatever happens,
// the instance has its new parameters and price once it has succeeded, and the
// old ones until then.
func TestAnyLifeOfAChangeLeavesWhatWas(t *testing.T) {
	t.Parallel()
	liveAnyLife(t, func(t *testing.T) *life {
		made := applying(t).must(outcome(provision.ResultSucceeded, ""))
		l := begin(t, testkit.Changed(*made.record.Instance, provision.Update, func(r *provision.Request) {
			cost := 99 * provision.Dollar
			r.Parameters, r.MonthlyCost = provision.Parameters{"name": r.Name, "environment": "dev", "size": "medium"}, &cost
		}))
		l.record.Instance.Sequence = 0 // its events are counted from here
		return l
	}, func(r provision.Record) string {
		wanted := r.Request.State == provision.Succeeded
		if is := r.Instance.Parameters["size"] == "medium"; is != wanted {
			return fmt.Sprintf("the instance is %v at %s while the update is %s", r.Instance.Parameters, r.Instance.MonthlyCost, r.Request.State)
		}
		if r.Instance.State.Gone() || r.Instance.State == provision.Reserved {
			return "an update made its instance " + string(r.Instance.State)
		}
		return ""
	})
}

// liveAnyLife lives many lives that begin as first says, and holds each of their
// moments to the laws and to one more.
func liveAnyLife(t *testing.T, first func(*testing.T) *life, law func(provision.Record) string) {
	t.Helper()
	moves := map[string]func(*provision.Record) error{
		"dispatch": dispatch, "dispatch denied": func(r *provision.Record) error { return r.Dispatch("local", testkit.Denial()) },
		"claim by w1": claim("w1"), "claim by w2": claim("w2"), "renew": renew, "release": release, "go on": goOn,
		"go on denied": func(r *provision.Record) error { return r.GoOn(testkit.Denial()) }, "cancel": cancel, "expire": expire, "give up": giveUp,
		"database started": reported(address("terraform_data.database", "started")), "database completed": reported(address("terraform_data.database", "completed")),
		"user failed": reported(address("terraform_data.user", "failed")), "grant completed": reported(address("terraform_data.grant", "completed")),
		"succeeded": reported(outcome(provision.ResultSucceeded, "")), "failed": reported(outcome(provision.ResultFailed, "it broke")),
		"ask for approval": decide(testkit.NeedsApproval(2), "create"), "ask for a delete": decide(testkit.NeedsApproval(1), "delete"),
		"pat approves what is denied now":   approveJudged("user:default/pat", testkit.Denial()),
		"sam approves what is judged again": approveJudged("user:default/sam", testkit.NeedsApproval(1)),
		"wait":                              wait, "pat approves": approve("user:default/pat"), "sam approves": approve("user:default/sam"),
		"ann approves her own": approve("user:default/ann"), "ben approves": approve("user:default/ben"),
		"pat rejects": reject("user:default/pat"), "approval expires": func(r *provision.Record) error { return r.ExpireApproval() },
		"attest": attest, "recover": recoverIt, "conclude well": conclude(provision.ResultSucceeded), "conclude badly": conclude(provision.ResultFailed),
		"note": func(r *provision.Record) error {
			return r.NoteByHand("user:default/pat", "terraform_data.user", "u-1", "seen there")
		},
		"cancelled": reported(outcome(provision.ResultCancelled, "")), "refused": reported(outcome(provision.ResultRefused, "denied")),
	}
	names := slices.Sorted(maps.Keys(moves))
	reached := map[provision.State]int{}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 0))
		l := first(t)
		var done []string
		for range 30 {
			name := names[random.IntN(len(names))]
			if random.IntN(8) == 0 {
				l.now = l.now.Add(2 * time.Minute) // every lease runs out
			}
			before := *l.record
			err := l.do(moves[name])
			done = append(done, fmt.Sprintf("%s -> %s (%v)", name, l.record.Request.State, err))
			if fault := cmp.Or(broken(before, *l.record, err), law(*l.record)); fault != "" {
				t.Fatalf("seed %d: %s after\n%v", seed, fault, done)
			}
			reached[l.record.Request.State]++
		}
	}
	for _, state := range []provision.State{provision.Succeeded, provision.Failed, provision.DeniedState, provision.Cancelled, provision.Lost, provision.AwaitingApproval} {
		if reached[state] == 0 {
			t.Errorf("no life was ever %s: the moves do not reach it", state)
		}
	}
}

// reported leaves out a report where there is no run to speak of.
func reported(say func(*provision.Record) error) func(*provision.Record) error {
	return func(r *provision.Record) error {
		if r.Run == nil {
			return nil
		}
		return say(r)
	}
}

// broken is the law that a move has broken, "" for none.
func broken(before, after provision.Record, err error) string {
	request, instance, run := after.Request, after.Instance, after.Run
	switch {
	case err != nil && provision.KindOf(err) != provision.Conflict && provision.KindOf(err) != provision.Denied:
		return "a move failed with " + provision.KindOf(err).String()
	case before.Request.State.Terminal() && before.Request.State != request.State:
		return "a request left its terminal state"
	case before.Request.State == provision.Lost && before.Run.State == provision.RunClaimed && before.Run.ID != run.ID:
		return "a lost run was taken over"
	case before.Request.State == provision.Lost && before.Run.State == provision.RunClaimed && request.State != provision.Lost && request.State != provision.Applying && !request.State.Terminal():
		return "a lost request became " + string(request.State) + " without an operator's word"
	case before.Request.State == provision.Lost && before.Run.State == provision.RunEnded && request.State == provision.Applying:
		return "a run that was attested to be dead applies"
	case run != nil && run.State == provision.RunEnded && run.TokenDigest != "" && request.State == provision.Lost:
		return "a run that was attested to be dead keeps its token"
	case instance.Fence < before.Instance.Fence || instance.Fence > before.Instance.Fence+1:
		return "the fence did not rise by steps of one"
	case run != nil && run.State == provision.RunClaimed && run.Fence != instance.Fence:
		return "a claimed run has an old fence"
	case request.State == provision.Succeeded && instance.State != provision.Ready:
		return "it succeeded and its instance is " + string(instance.State)
	case request.State == provision.Applying && (run.State != provision.RunClaimed || instance.State != provision.Changing):
		return "something applies without a claim"
	case request.State == provision.AwaitingApproval && (run.State != provision.RunEnded || request.Approval.ExpiresAt == nil):
		return "a request waits for people and holds a run, or has no end"
	case request.State == provision.Applying && request.Verdict.Outcome == provision.OutcomeRequireApproval && !request.Approval.Granted():
		return "something applies that was never approved"
	case request.Approval.GivenBy(request.RequestedBy) || request.Approval.GivenBy("user:default/ben"):
		return "somebody has approved who may not"
	case request.Approval.Granted() && len(request.Approval.Given) < request.Approval.Needed[0].Count:
		return "too few have approved"
	case before.Request.Approval.Granted() && !request.Approval.Granted() && request.Approval.Void == "":
		return "an approval was lost and nothing says why"
	case request.State == provision.Queued && run != nil && run.State == provision.RunClaimed:
		return "a queued request is claimed"
	case request.State.Terminal() && run != nil && run.State != provision.RunEnded && request.State != provision.DeniedState:
		return "a request ended and its run did not"
	case request.State.Terminal() && (instance.State == provision.Changing || instance.State == provision.Reserved):
		return "a request ended and its instance is " + string(instance.State)
	case (request.State == provision.Queued || request.State == provision.Lost || request.State == provision.AwaitingApproval) && request.Waiting == "":
		return "a waiting request does not say for what"
	case request.State.Terminal() && request.State != provision.Succeeded && (request.Error == nil || request.Error.Message == ""):
		return "a request ended without a reason"
	}
	return ""
}
