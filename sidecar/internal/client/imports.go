package client

import (
	"context"

	"roadbed.dev/roadbed/sidecar/api"
)

// Import asks for existing resources to become instances, with a key as Submit
// has. What was not accepted says why in its item.
func (c *Client) Import(ctx context.Context, key string, ask api.ImportAsk) ([]api.ImportedItem, error) {
	var answer api.ImportAnswer
	_, err := c.do(ctx, keyed("/imports", key, ask), &answer)
	return answer.Items, err
}
