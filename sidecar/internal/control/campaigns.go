package control

import "context"

// Campaigner takes campaigns on.
type Campaigner interface {
	// StepCampaigns does what every running campaign does now.
	StepCampaigns(ctx context.Context) error
}

// campaigns takes running campaigns on. Several may run: how a campaign stands
// is in the database, and what one asks for twice is asked for once.
type campaigns struct{ Config }

func (c *campaigns) run(ctx context.Context, b *beat) error {
	return every(ctx, c.Poll, nil, b, c.Log, c.once)
}

func (c *campaigns) once(ctx context.Context) error {
	if c.Campaigns == nil {
		return nil
	}
	return c.Campaigns.StepCampaigns(ctx)
}
