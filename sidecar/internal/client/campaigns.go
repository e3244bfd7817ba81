package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
)

// Campaigns are those that the caller may see something of, the newest first.
func (c *Client) Campaigns(ctx context.Context) (api.CampaignList, error) {
	var list api.CampaignList
	_, err := c.do(ctx, get("/campaigns"), &list)
	return list, err
}

// Campaign is one with its groups and members.
func (c *Client) Campaign(ctx context.Context, id uuid.UUID) (api.Campaign, error) {
	var campaign api.Campaign
	_, err := c.do(ctx, get("/campaigns/"+id.String()), &campaign)
	return campaign, err
}

// MakeCampaign plans the upgrade of every instance that is not of a version, with
// a key as Submit has.
func (c *Client) MakeCampaign(ctx context.Context, key string, ask api.CampaignAsk) (api.Campaign, error) {
	var campaign api.Campaign
	_, err := c.do(ctx, keyed("/campaigns", key, ask), &campaign)
	return campaign, err
}

// ApproveGroup lets plans of a shape be applied. It may be repeated.
func (c *Client) ApproveGroup(ctx context.Context, id uuid.UUID, shape string, body api.GroupApprove) (api.Campaign, error) {
	return c.askCampaign(ctx, id, "groups/"+shape+"/approve", body)
}

// MoveCampaign starts, halts, resumes or stops a campaign. It may be repeated.
func (c *Client) MoveCampaign(ctx context.Context, id uuid.UUID, move, reason string) (api.Campaign, error) {
	return c.askCampaign(ctx, id, move, api.CampaignMove{Reason: reason})
}

// OptOut keeps a campaign from an owner's instances until a date. It may be
// repeated.
func (c *Client) OptOut(ctx context.Context, id uuid.UUID, body api.CampaignOptOut) (api.Campaign, error) {
	return c.askCampaign(ctx, id, "opt-out", body)
}

func (c *Client) askCampaign(ctx context.Context, id uuid.UUID, path string, body any) (api.Campaign, error) {
	var campaign api.Campaign
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/campaigns/" + id.String() + "/" + path, body: body, repeatable: true}, &campaign)
	return campaign, err
}
