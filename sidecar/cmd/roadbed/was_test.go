package main

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The shipped policies and prices on an instance that is above its limits, or
// has too few backups: what a change makes no worse is let be.
func TestAChangeIsHeldOnlyAgainstWhatItMakesWorse(t *testing.T) {
	t.Parallel()
	rig := newAdviceRig(t)
	dear := choice{"dev", "db.r6g.xlarge", 600, 7, false} // $403.00 where $100 is the limit, and large
	bare := choice{"prod", "db.t3.small", 100, 3, true}
	with := func(c choice, change func(*choice)) choice { change(&c); return c }
	tests := map[string]struct {
		action        provision.Action
		before, after choice
		want          provision.Outcome
	}{
		"new credentials":             {provision.Rotate, dear, dear, provision.OutcomeWarn},
		"a smaller class":             {provision.Update, dear, with(dear, func(c *choice) { c.class = "db.t3.large" }), provision.OutcomeWarn},
		"less storage":                {provision.Update, dear, with(dear, func(c *choice) { c.storage = 550 }), provision.OutcomeWarn},
		"more storage":                {provision.Update, dear, with(dear, func(c *choice) { c.storage = 601 }), provision.OutcomeDeny},
		"dearer by another parameter": {provision.Update, dear, with(dear, func(c *choice) { c.days = 8 }), provision.OutcomeDeny},
		"more storage, yet cheaper":   {provision.Update, dear, with(dear, func(c *choice) { c.storage, c.class = 601, "db.t3.small" }), provision.OutcomeRequireApproval},
		"more backups, still few":     {provision.Update, bare, with(bare, func(c *choice) { c.days = 5 }), provision.OutcomeWarn},
		"fewer backups":               {provision.Update, bare, with(bare, func(c *choice) { c.days = 2 }), provision.OutcomeDeny},
		"enough backups":              {provision.Update, bare, with(bare, func(c *choice) { c.days = 7 }), provision.OutcomeAllow},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ask := rig.ask(tt.after.environment, tt.after.parameters())
			ask.Action, ask.Stage, ask.Before = tt.action, provision.StageSubmit, tt.before.parameters()
			ask.Was = &provision.Was{Offering: rig.offering, Owner: ask.Owner, CostCenter: ask.CostCenter}
			verdict, err := rig.judge.Judge(t.Context(), ask)
			if err != nil || verdict.Outcome != tt.want {
				t.Errorf("%s (%v), want %s: %+v", verdict.Outcome, err, tt.want, verdict.Findings)
			}
		})
	}
}

func TestWhatIsOverALimitAndAllowedSaysWhy(t *testing.T) {
	t.Parallel()
	for why, want := range map[string]string{
		"":                    "$71.00 over the limit of $100.00 / month in dev",
		"no more than before": "$71.00 over the limit of $100.00 / month in dev: no more than before",
	} {
		if got := leftOf(provision.Allowance{Limit: 100 * provision.Dollar, Left: -71 * provision.Dollar, Scope: "dev", Waived: why}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
