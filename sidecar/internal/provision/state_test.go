package provision_test

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// legal is the table of the design, written out again: request states in the
// order of provision.States, a 1 where the row's state may become the column's.
var legal = map[provision.State]string{
	//                           sub que pla awa app los suc fai den can
	provision.Submitted:        "0   1   0   0   0   0   0   0   1   0",
	provision.Queued:           "0   0   1   0   0   0   0   1   1   1",
	provision.Planning:         "0   1   0   1   1   0   0   1   1   1",
	provision.AwaitingApproval: "0   1   0   0   0   0   0   0   1   1",
	provision.Applying:         "0   0   0   0   0   1   1   1   0   1",
	provision.Lost:             "0   0   1   0   1   0   1   1   0   0",
	provision.Succeeded:        "0   0   0   0   0   0   0   0   0   0",
	provision.Failed:           "0   0   0   0   0   0   0   0   0   0",
	provision.DeniedState:      "0   0   0   0   0   0   0   0   0   0",
	provision.Cancelled:        "0   0   0   0   0   0   0   0   0   0",
}

func TestEveryMoveOfARequest(t *testing.T) {
	t.Parallel()
	for _, from := range provision.States() {
		for i, to := range provision.States() {
			err := from.To(to)
			if want := legal[from][4*i] == '1'; (err == nil) != want {
				t.Errorf("%s to %s: %v, want legal: %t", from, to, err, want)
			}
			if err != nil && provision.KindOf(err) != provision.Conflict {
				t.Errorf("%s to %s is refused as %s, want a conflict", from, to, provision.KindOf(err))
			}
		}
		if want := legal[from] == legal[provision.Succeeded]; from.Terminal() != want {
			t.Errorf("%s is terminal: %t, want %t", from, from.Terminal(), want)
		}
	}
}

var legalInstance = map[provision.InstanceState]string{
	//                     res rea cha inc dng dyd rel
	provision.Reserved:   "0   0   1   0   0   0   1",
	provision.Ready:      "0   0   1   0   1   0   0",
	provision.Changing:   "0   1   0   1   0   0   0",
	provision.Incomplete: "0   1   1   0   1   1   0",
	provision.Destroying: "0   0   0   1   0   1   0",
	provision.Destroyed:  "0   0   0   0   0   0   0",
	provision.Released:   "0   0   0   0   0   0   0",
}

func TestEveryMoveOfAnInstance(t *testing.T) {
	t.Parallel()
	for _, from := range provision.InstanceStates() {
		for i, to := range provision.InstanceStates() {
			err := from.To(to)
			if want := legalInstance[from][4*i] == '1'; (err == nil) != want {
				t.Errorf("%s to %s: %v, want legal: %t", from, to, err, want)
			}
		}
		if want := from == provision.Destroyed || from == provision.Released; from.Gone() != want {
			t.Errorf("%s is gone: %t, want %t", from, from.Gone(), want)
		}
	}
}
