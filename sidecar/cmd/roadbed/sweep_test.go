package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/tagged"
)

func TestStraysAreWhatNoWholeInstanceAccountsFor(t *testing.T) {
	t.Parallel()
	request := uuid.MustParse("0199a3c0-7d1e-7c4b-9f6a-2f8a51c6d0e4")
	states := map[string]provision.InstanceState{
		"whole": provision.Ready, "busy": provision.Changing, "gone": provision.Destroyed, "never": provision.Released, "half": provision.Incomplete,
	}
	whose := func(tags map[string]string) (api.Instance, error) {
		state, ok := states[tags["RoadbedInstance"]]
		if !ok {
			return api.Instance{}, provision.Errorf(provision.NotFound, "no such instance")
		}
		return api.Instance{Environment: "dev", Name: tags["RoadbedInstance"], State: api.InstanceState(state), RequestId: request}, nil
	}
	all := []tagged.Resource{{ARN: "arn:sg/old", Tags: map[string]string{"RequestID": "r-7"}}}
	for name := range states {
		for _, kind := range []string{"arn:db:", "arn:snapshot:", "arn:secret:"} {
			all = append(all, tagged.Resource{ARN: kind + name, Tags: map[string]string{"RoadbedInstance": name}})
		}
	}
	all = append(all, tagged.Resource{ARN: "arn:db:whose", Tags: map[string]string{"RoadbedInstance": "whose"}})
	got, err := straysIn(all, whose)
	incomplete := "it is incomplete: compare with roadbed operator show " + request.String()
	want := []stray{
		{"arn:db:gone", "dev/gone", "it is destroyed"}, {"arn:db:half", "dev/half", incomplete}, {"arn:db:never", "dev/never", "it is released"},
		{"arn:db:whose", "whose", "the server knows of no such instance"}, {"arn:secret:half", "dev/half", incomplete},
		{"arn:sg/old", "r-7", "the server knows of no such instance"}, {"arn:snapshot:half", "dev/half", incomplete},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("strays (-want +got), %v:\n%s", err, diff)
	}
	if got, err := straysIn(all, func(map[string]string) (api.Instance, error) {
		return api.Instance{}, provision.Errorf(provision.Denied, "only the platform team")
	}); err == nil || !strings.Contains(err.Error(), "only the platform team") {
		t.Errorf("what nobody may look at is %+v (%v), want an error", got, err)
	}
}
