package provision

import (
	"slices"
	"strings"
)

const waitingForWorker = "waiting for a worker"

// Hold says what a queued request waits for before a worker; when nothing holds
// it any more it waits for a worker again, and its time in the queue counts
// from now. What it says already is not told again. A request in any other
// state stays as it is.
func (r *Record) Hold(holds []Hold) {
	if r.Request.State != Queued || slices.Equal(messages(r.Request.Holds), messages(holds)) {
		return
	}
	r.Request.UpdatedAt = r.now
	if len(holds) == 0 {
		released := r.now
		r.Request.Holds, r.Request.ReleasedAt, r.Request.Waiting = nil, &released, waitingForWorker
		r.tell("request", "released", r.Request.ID, map[string]any{"state": Queued, "waiting": r.Request.Waiting})
		return
	}
	r.Request.Holds, r.Request.Waiting = holds, strings.Join(messages(holds), "; ")
	r.tell("request", "held", r.Request.ID, map[string]any{"state": Queued, "waiting": r.Request.Waiting, "holds": holds})
}

func messages(holds []Hold) []string {
	said := make([]string, len(holds))
	for i, h := range holds {
		said[i] = h.Message
	}
	return said
}
