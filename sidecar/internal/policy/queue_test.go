package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestLimitsOfTheQueueAreRead(t *testing.T) {
	t.Parallel()
	files := tree(t)
	replace(files, "data/queue.yaml", "pools: {}", "pools: {aws: 8}")
	replace(files, "data/queue.yaml", "teams: {}", `teams: {"group:default/payments": 2}`)
	replace(files, "data/queue.yaml", "otherwise: 0", "otherwise: 3")
	bundle, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	want := provision.Limits{Pools: map[string]int{"aws": 8}, Team: 3, Teams: map[string]int{"group:default/payments": 2}}
	if diff := cmp.Diff(want, bundle.Limits()); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	delete(files, "data/queue.yaml")
	if bundle, err = policy.Load(files); err != nil || bundle.Limits().OfTeam("group:default/payments") != 0 {
		t.Errorf("without the file: %v, want no limit of a team", err)
	}
}

func TestLoadRefusesLimitsThatWouldLimitNothingUnnoticed(t *testing.T) {
	t.Parallel()
	files := tree(t)
	replace(files, "data/queue.yaml", "pools: {}", "pools: {aws: 0, local: many}\nslots: 4")
	replace(files, "data/queue.yaml", "teams: {}", "teams: [payments]")
	replace(files, "data/queue.yaml", "otherwise: 0", "otherwise: -1")
	_, err := policy.Load(files)
	if err == nil {
		t.Fatal("it loads, want every fault")
	}
	for _, want := range []string{
		`has the field "slots"; there are pools, teams, otherwise`, "pools.aws must be a whole number from 1", "pools.local must be a whole number from 1",
		"teams must be an object", "otherwise must be a whole number from 0",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}
