package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
)

// Unused is what nobody uses, by owner; what somebody has answered for only when
// it is asked for.
func (c *Client) Unused(ctx context.Context, answered bool) (api.UnusedList, error) {
	k := get("/unused")
	k.query = url.Values{"answered": {strconv.FormatBool(answered)}}
	var list api.UnusedList
	_, err := c.do(ctx, k, &list)
	return list, err
}

// Activity is whether anybody uses an instance, as far as that is measured.
func (c *Client) Activity(ctx context.Context, instance uuid.UUID) (api.ActivityView, error) {
	var view api.ActivityView
	_, err := c.do(ctx, get("/instances/"+instance.String()+"/activity"), &view)
	return view, err
}

// AnswerUnused answers, with "snooze" or "needed", that an instance is unused.
func (c *Client) AnswerUnused(ctx context.Context, instance uuid.UUID, answer string, body api.UnusedAnswer) (api.ActivityView, error) {
	var view api.ActivityView
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/instances/" + instance.String() + "/unused/" + answer, body: body, repeatable: true}, &view)
	return view, err
}
