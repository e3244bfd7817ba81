package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// killsTerraform reports whether it is Terraform itself that dies: then the
// request fails, and what resumes it is a new one.
func (s schedule) killsTerraform() bool {
	return s.armed.Kill && strings.HasPrefix(s.armed.Boundary, "terraform ")
}

// never is why nobody comes to this boundary in this action, or why this cannot
// break there; "" when it can.
func (s schedule) never() string {
	waits := []string{"plan kept before", "plan kept after", "approval decided", "approval committed"}
	supervised := []string{"state push before", "state push committed", "state push after", "terraform apply before", "terraform apply after"}
	planned := append([]string{"accept before", "accept after", "terraform plan before", "terraform plan after"}, waits[:2]...)
	switch at := s.armed.Boundary; {
	case s.action != "approval" && slices.Contains(waits, at):
		return "it waits for no approval"
	case s.late && slices.Contains(planned, at):
		return "it is over before the approval is given"
	case s.crash == "the supervisor is killed" && !slices.Contains(supervised, at):
		return "there is no supervisor then"
	}
	return ""
}

// pairs are every action, boundary and crash that go together, in the order in
// which one action leaves what the next begins from. ROADBED_CHAOS_CRASH has only
// one crash, _SHARD, as in 2/5, only a part.
func pairs(t *testing.T) []schedule {
	t.Helper()
	shard, shards := 1, 1
	if text := os.Getenv("ROADBED_CHAOS_SHARD"); text != "" {
		if _, err := fmt.Sscanf(text, "%d/%d", &shard, &shards); err != nil || shard < 1 || shard > shards {
			t.Fatalf("ROADBED_CHAOS_SHARD is %q; it is as 2/5", text)
		}
	}
	var all []schedule
	turn := 0
	for _, crash := range crashes {
		if only := os.Getenv("ROADBED_CHAOS_CRASH"); only != "" && only != crash {
			continue
		}
		for _, boundary := range boundaries {
			if turn++; turn%shards != shard-1 {
				continue
			}
			for _, action := range []string{"approval", "late approval", "create", "update", "rotate", "upgrade", "revert", "expiry", "import", "destroy"} {
				s := schedule{action: strings.TrimPrefix(action, "late "), crash: crash, late: strings.HasPrefix(action, "late ")}
				s.armed = armed{Boundary: boundary, Nth: 1, Kill: crash == crashes[0]}
				if s.never() == "" {
					all = append(all, s)
				}
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("no schedule is of this crash and shard")
	}
	return all
}

// goOn is what a person does whose request has failed because Terraform died:
// they ask again. request becomes the new one. It answers how many applies both
// have had between them.
func (c *chaos) goOn(action string, s *schedule, request *api.Request) (applies int) {
	c.t.Helper()
	c.settleDown()
	*request = c.askedAgain(action, request.Id)
	c.weather("the "+action+" that was asked for again comes to its end", func() bool { return c.state(request.Id).Terminal() })
	if strings.HasPrefix(s.armed.Boundary, "terraform apply") {
		return 2
	}
	return 1
}

// askedAgain asks again for what failed.
func (c *chaos) askedAgain(action string, failed uuid.UUID) api.Request {
	c.t.Helper()
	ctx, key := c.t.Context(), uuid.NewString()
	request, err := c.patient(ann).Retry(ctx, key, failed)
	if action == "import" && provision.KindOf(err) == provision.Conflict { // nothing was kept of it
		request, err = c.takenOver(ctx, key)
	}
	if err == nil && action == "approval" {
		err = c.approved(ctx, request.Id, nil)
	}
	if err != nil {
		c.t.Fatalf("ask again for the %s: %v", action, err)
	}
	return request
}
