package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
)

// MakePreview asks for an ephemeral environment, with a key as Submit has.
func (c *Client) MakePreview(ctx context.Context, key string, ask api.PreviewAsk) (api.PreviewAnswer, error) {
	var answer api.PreviewAnswer
	_, err := c.do(ctx, keyed("/previews", key, ask), &answer)
	return answer, err
}

// Previews are the ephemeral environments that the caller may see, the newest
// first.
func (c *Client) Previews(ctx context.Context) ([]api.EphemeralEnvironment, error) {
	var list api.PreviewList
	_, err := c.do(ctx, get("/previews"), &list)
	return list.Items, err
}

// ExtendPreview asks for an ephemeral environment to live longer, with a key as
// Submit has.
func (c *Client) ExtendPreview(ctx context.Context, key string, id uuid.UUID, by string) ([]api.PreviewOutcome, error) {
	var answer api.PreviewOutcomes
	_, err := c.do(ctx, keyed("/previews/"+id.String()+"/extend", key, api.Extension{By: by}), &answer)
	return answer.Items, err
}

// DestroyPreview asks for the end of an ephemeral environment, with a key as
// Submit has.
func (c *Client) DestroyPreview(ctx context.Context, key string, id uuid.UUID) ([]api.PreviewOutcome, error) {
	var answer api.PreviewOutcomes
	_, err := c.do(ctx, call{
		method: http.MethodDelete, path: "/previews/" + id.String(), header: http.Header{"Idempotency-Key": {key}}, repeatable: true,
	}, &answer)
	return answer.Items, err
}
