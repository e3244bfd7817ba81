package provision_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// budgetRules say of budgets what the shipped policies say, with the team's
// and the environment's limits, and who lifts the team's.
type budgetRules struct {
	provision.Rules
	team, environment provision.Money
}

func (b budgetRules) Budgets(_ context.Context, scopes []provision.Scope) ([]provision.Budget, error) {
	var budgets []provision.Budget
	for _, scope := range scopes {
		switch {
		case scope.Kind == provision.BudgetTeam && b.team > 0:
			budgets = append(budgets, provision.Budget{Scope: scope, Limit: b.team, Level: provision.LevelRequireApproval})
		case scope.Kind == provision.BudgetEnvironment:
			budgets = append(budgets, provision.Budget{Scope: scope, Limit: b.environment, Level: provision.LevelDeny})
		}
	}
	return budgets, nil
}

func (b budgetRules) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	findings, digest, err := b.Rules.Findings(ctx, input)
	for _, balance := range input.Balances {
		budgets, _ := b.Budgets(ctx, []provision.Scope{{Kind: balance.Kind, Name: balance.Name}})
		for _, budget := range budgets {
			over := provision.Money(balance.SpentMills) + input.Price.ChargeMills - budget.Limit
			if over <= 0 || int64(input.Price.ChargeMills) <= balance.HeldMills || input.Action == provision.Destroy {
				continue
			}
			f := provision.Finding{Rule: "budget", Level: budget.Level, Message: fmt.Sprintf("%s is exceeded by %s.", balance.Name, over)}
			if f.Level == provision.LevelRequireApproval {
				f.Approvers, f.Count = []string{"group:default/dba"}, 1
			}
			findings = append(findings, f)
		}
	}
	return findings, digest, err
}

// movingBook prices what is asked for at its parameter, plus what prices have
// risen by since.
type movingBook struct{ rise *atomic.Int64 }

func (m movingBook) Price(_ provision.Offering, p provision.Parameters) (provision.Estimate, error) {
	var mills int64
	if _, err := fmt.Sscan(p.Text("size"), &mills); err != nil {
		return provision.Estimate{}, provision.Errorf(provision.Invalid, "size %q has no price", p.Text("size"))
	}
	return provision.Estimate{MonthlyCost: provision.Money(mills + m.rise.Load()), Items: []provision.CostItem{}}, nil
}

func budgetShop(t *testing.T, team, environment provision.Money) (*shop, *atomic.Int64) {
	t.Helper()
	s := newApprovalShop(t)
	rise := &atomic.Int64{}
	s.Judge = provision.Judge{Prices: movingBook{rise}, Rules: budgetRules{rules{&s.deny, &s.input, &s.budget}, team, environment}}
	s.AlternativesWithin = time.Nanosecond // what would do instead is not asked here
	return s, rise
}

func sized(name string, mills int64) provision.Submission {
	sub := ask(name, "")
	sub.Parameters["size"] = fmt.Sprint(mills)
	return sub
}

func (s *shop) spent(t *testing.T, kind provision.BudgetKind, name string) provision.Balance {
	t.Helper()
	balances, err := s.store.Balances(t.Context(), []provision.Scope{{Kind: kind, Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return balances[0]
}

// reference is what budgets are: one sum, one limit, and nothing that could race.
type reference struct {
	limit, sum int64
	held       map[string]int64
}

func (r *reference) submit(name string, mills int64) bool {
	if r.sum+mills > r.limit {
		return false
	}
	r.sum, r.held[name] = r.sum+mills, mills
	return true
}

func (r *reference) end(name string) { r.sum -= r.held[name]; delete(r.held, name) }

func TestOneAskerIsAnsweredAsTheReferenceSays(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 1))
	s, _ := budgetShop(t, 0, 10_000)
	model := reference{limit: 10_000, held: map[string]int64{}}
	live := map[string]provision.Request{}
	for n := range 80 {
		name, mills := fmt.Sprintf("orders-%d", n), chance.Int64N(4000)
		request, err := s.Submit(t.Context(), ann, sized(name, mills))
		if want := model.submit(name, mills); (err == nil) != want {
			t.Fatalf("after %d, %d mills of %d: %v, want accepted %t", model.sum, mills, model.limit, err, want)
		}
		if err == nil {
			live[name] = request
		}
		for name, request := range live {
			if chance.IntN(3) == 0 {
				if _, err := s.Cancel(t.Context(), ann, request.ID, "enough"); err != nil {
					t.Fatal(err)
				}
				model.end(name)
				delete(live, name)
			}
		}
		if got := s.spent(t, provision.BudgetEnvironment, "dev"); int64(got.Spent()) != model.sum {
			t.Fatalf("%s is spent, want %d mills", got.Spent(), model.sum)
		}
	}
}

// Many do at random all that can be done, while prices rise and fall. At every
// moment no environment is beyond its limit, no team beyond what was approved,
// and the balances are the sums; once all has ended nothing is reserved, and
// once all is destroyed nothing is spent.
func TestBudgetsHoldWhateverManyDoAtOnce(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const team, environment = 30_000, 60_000
	s, rise := budgetShop(t, team, environment)
	var approved atomic.Int64 // the most that a granted approval lets the team exceed its budget by
	var working sync.WaitGroup
	for worker := range 32 {
		working.Go(func() {
			w := &spender{shop: s, t: t, chance: rand.New(rand.NewPCG(seed, uint64(worker))), name: fmt.Sprint("w", worker), approved: &approved, rise: rise}
			for n := range 4 {
				w.live(fmt.Sprintf("orders-%d-%d", worker, n))
			}
		})
	}
	done := make(chan struct{})
	go func() { working.Wait(); close(done) }()
	for open := true; open; {
		got := s.spent(t, provision.BudgetTeam, "group:default/payments")
		if over := int64(got.Spent()) - team; over > approved.Load() {
			t.Errorf("the team is %d mills over, and %d were approved", over, approved.Load())
		}
		if got := s.spent(t, provision.BudgetEnvironment, "dev"); got.Spent() > environment {
			t.Errorf("dev has spent %s of %s", got.Spent(), provision.Money(environment))
		}
		select {
		case <-done:
			open = false
		default:
		}
	}
	for _, scope := range []provision.Scope{{Kind: provision.BudgetTeam, Name: "group:default/payments"}, {Kind: provision.BudgetEnvironment, Name: "dev"}} {
		if got := s.spent(t, scope.Kind, scope.Name); got.Reserved != 0 || got.Committed != 0 {
			t.Errorf("when all has ended %s still has %s reserved and %s committed", scope.Name, got.Reserved, got.Committed)
		}
	}
}

// spender makes instances and takes each to an end that chance chooses.
type spender struct {
	*shop
	t        *testing.T
	chance   *rand.Rand
	name     string
	approved *atomic.Int64
	rise     *atomic.Int64
}

func (w *spender) live(name string) {
	request, err := w.Submit(w.t.Context(), ann, sized(name, 2000+w.chance.Int64N(9000)))
	w.rise.Store(w.chance.Int64N(2000) - 1000)
	if w.refused(err) {
		return
	}
	for range 12 { // plans, approvals and plans again
		if w.chance.IntN(8) == 0 {
			w.cancel(request)
			return
		}
		switch applying, err := w.try(request); {
		case errors.Is(err, provision.ErrWait):
			w.approve(request)
		case w.refused(err):
			return
		case applying:
			w.finish(request)
			return
		}
	}
	w.cancel(request)
}

func (w *spender) cancel(request provision.Request) {
	if _, err := w.Cancel(w.t.Context(), ann, request.ID, "enough"); err != nil && provision.KindOf(err) != provision.Conflict {
		w.t.Errorf("cancel: %v", err)
	}
}

// refused reports an ask that is at its end; what is only busy goes on.
func (w *spender) refused(err error) bool {
	switch {
	case err == nil:
		return false
	case provision.KindOf(err) == provision.Denied, provision.KindOf(err) == provision.Unavailable && strings.Contains(err.Error(), "budget"):
		return true
	}
	w.t.Errorf("refused: %v", err)
	return true
}

// try dispatches, claims and plans; applying says that the plan may go on.
func (w *spender) try(request provision.Request) (applying bool, err error) {
	record, err := w.store.Change(w.t.Context(), request.ID, func(r *provision.Record) error {
		verdict, err := w.runs.JudgeQueued(w.t.Context(), r)
		if err != nil {
			return err
		}
		return r.Dispatch("local", verdict)
	})
	if provision.KindOf(err) == provision.Conflict || err == nil && record.Request.State.Terminal() {
		return false, provision.Errorf(provision.Denied, "it has ended already")
	}
	if err != nil {
		return false, err
	}
	claim, err := w.runs.Claim(w.t.Context(), "local", w.name, record.Run.ID)
	if err != nil {
		return false, err
	}
	err = w.runs.Plan(w.t.Context(), claim.RunID, claim.Token, []provision.Change{{Address: "a", Action: "create"}})
	if errors.Is(err, provision.ErrWait) {
		if err := w.runs.KeepPlan(w.t.Context(), claim.RunID, claim.Token, []byte("sealed")); err != nil {
			return false, err
		}
	}
	if provision.KindOf(err) == provision.Unavailable { // the worker would ask again; this one gives it back
		if err := w.runs.Release(w.t.Context(), claim.RunID, claim.Token); err != nil {
			return false, err
		}
		return false, nil
	}
	return err == nil, err
}

// approve answers until the request waits no longer: what has become worse
// meanwhile is asked anew.
func (w *spender) approve(request provision.Request) {
	dan := dba("dan", "group:default/dba")
	for range 20 {
		asked, err := w.store.Request(w.t.Context(), request.ID)
		if err != nil {
			w.t.Error(err)
			return
		}
		if asked.State != provision.AwaitingApproval {
			return
		}
		for over := int64(asked.Approval.Over["team/group:default/payments"]); ; {
			most := w.approved.Load()
			if over <= most || w.approved.CompareAndSwap(most, over) {
				break
			}
		}
		_, err = w.Approve(w.t.Context(), dan, request.ID, "fine")
		if kind := provision.KindOf(err); err != nil && kind != provision.Conflict && kind != provision.Denied && kind != provision.Unavailable {
			w.t.Errorf("approve: %v", err)
		}
	}
	// The last approval may have been the one that counted; then there is nothing to reject.
	_, err := w.Reject(w.t.Context(), dan, request.ID, "it never settles")
	if kind := provision.KindOf(err); err != nil && kind != provision.Conflict && kind != provision.Denied {
		w.t.Errorf("reject: %v", err)
	}
}

// finish lets the apply succeed, or fail with and without something left, and
// destroys what is there.
func (w *spender) finish(request provision.Request) {
	result, left := provision.ResultSucceeded, w.chance.IntN(2)
	if w.chance.IntN(3) == 0 {
		result = provision.ResultFailed
	}
	if _, err := w.store.Change(w.t.Context(), request.ID, resources(result, left)); err != nil {
		w.t.Errorf("outcome: %v", err)
	}
	gone, err := w.Destroy(w.t.Context(), ann, request.InstanceID, provision.Submission{})
	if err != nil {
		w.t.Errorf("destroy: %v", err)
		return
	}
	if _, err := w.try(gone); err != nil {
		w.t.Errorf("plan the destroy: %v", err)
	}
	if _, err := w.store.Change(w.t.Context(), gone.ID, resources(provision.ResultSucceeded, 0)); err != nil {
		w.t.Errorf("destroyed: %v", err)
	}
}

// TestWhatAdoptingWouldBeIsHeldAgainstBudgets is law 8 before anyone asks: an
// owner is not told that drift can be adopted when its submit would be denied.
func TestWhatAdoptingWouldBeIsHeldAgainstBudgets(t *testing.T) {
	t.Parallel()
	s, _ := budgetShop(t, 0, 10_000)
	made, err := s.Submit(t.Context(), ann, sized("orders", 4_000))
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, made.ID, `{}`)
	for actual, want := range map[string]provision.Outcome{"10000": provision.OutcomeAllow, "10001": provision.OutcomeDeny} {
		_, err := s.store.ChangeDrift(t.Context(), made.InstanceID, func(r *provision.DriftRecord) error {
			r.Instance.Drift = &provision.Drift{Generation: r.Instance.Generation, Differences: []provision.Difference{
				{Address: "a.b", Kind: provision.DriftChanged, Attribute: "size", Actual: actual, Parameter: "size"},
			}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		drift, err := s.Drift(t.Context(), ann, made.InstanceID)
		if err != nil || drift.Adoption.Preview == nil || drift.Adoption.Preview.Outcome != want {
			t.Errorf("adopting %s mills of 10000 would be %+v (%v), want %s", actual, drift.Adoption, err, want)
		}
	}
}
