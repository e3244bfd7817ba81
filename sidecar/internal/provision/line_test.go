package provision_test

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestAPlaceSaysWhatTheRequestWaitsFor(t *testing.T) {
	t.Parallel()
	in := func(edit func(*provision.Place)) provision.Place {
		p := provision.Place{Pool: "local", Owner: "group:default/payments", Position: 1, PoolInUse: 4, PoolLimit: 4, TeamInUse: 2, TeamLimit: 2}
		edit(&p)
		return p
	}
	for want, place := range map[string]provision.Place{
		"3rd in line for pool local; 4 of 4 slots busy":  in(func(p *provision.Place) { p.Position = 3 }),
		"1st in line for pool local; 1 of 4 slots busy":  in(func(p *provision.Place) { p.PoolInUse = 1 }),
		"11th in line for pool aws; 4 of 4 slots busy":   in(func(p *provision.Place) { p.Position, p.Pool = 11, "aws" }),
		"22nd in line for pool local; 4 of 4 slots busy": in(func(p *provision.Place) { p.Position = 22 }),
		"payments has 2 of its 2 runs in flight":         in(func(p *provision.Place) { p.KeptBack = true }),
		"payments has 1 of its 2 runs in flight; this is 2nd of its own in line for pool local": in(func(p *provision.Place) {
			p.KeptBack, p.TeamInUse, p.Position = true, 1, 2
		}),
	} {
		if got := place.String(); got != want {
			t.Errorf("%+v says %q, want %q", place, got, want)
		}
	}
}

func TestALimitThatIsNotNamedIsTheGeneralOne(t *testing.T) {
	t.Parallel()
	l := provision.Limits{Slots: 3, Pools: map[string]int{"aws": 8}, Team: 2, Teams: map[string]int{"group:default/search": 5}}
	for what, got := range map[string][2]int{
		"named pool":             {l.OfPool("aws"), 8},
		"other pool":             {l.OfPool("local"), 3},
		"pool of no limits":      {provision.Limits{}.OfPool("local"), 4},
		"named team":             {l.OfTeam("group:default/search"), 5},
		"other team":             {l.OfTeam("group:default/payments"), 2},
		"team without any limit": {provision.Limits{}.OfTeam("group:default/payments"), 0},
	} {
		if got[0] != got[1] {
			t.Errorf("limit of %s is %d, want %d", what, got[0], got[1])
		}
	}
}
