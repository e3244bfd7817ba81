package control

import (
	"context"
	"time"
)

// checks makes first drift checks due for what has become ready. The rest
// follows from itself: each check makes the next one due.
type checks struct{ Config }

func (c *checks) run(ctx context.Context, b *beat) error {
	return every(ctx, c.DriftLook, nil, b, c.Log, c.once)
}

func (c *checks) once(ctx context.Context) error {
	for c.DriftEvery > 0 {
		n, err := c.Store.ScheduleDrift(ctx, c.DriftEvery, sweepPage)
		if err != nil || n < sweepPage {
			return err
		}
	}
	return nil
}

// driftLook is how often what has become ready is looked for: nothing hurries,
// its first check is hours away.
const driftLook = time.Minute
