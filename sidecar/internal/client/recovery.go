package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Recovery is what an operator must know of a request that was cut short.
func (c *Client) Recovery(ctx context.Context, requestID uuid.UUID) (provision.Recovery, error) {
	var answer api.RecoveryAnswer
	_, err := c.do(ctx, get("/requests/"+requestID.String()+"/recovery"), &answer)
	return answer.Recovery, err
}

// Attest vouches for it that the Terraform process of a lost request cannot run
// any more. It may be repeated.
func (c *Client) Attest(ctx context.Context, requestID uuid.UUID, reason string) (provision.Recovery, error) {
	return c.operate(ctx, "/requests/"+requestID.String()+"/recovery/attest", api.OperatorsWord{Reason: reason})
}

// Recover has an attested request taken up by another worker. It may be repeated.
func (c *Client) Recover(ctx context.Context, requestID uuid.UUID, reason string) (provision.Recovery, error) {
	return c.operate(ctx, "/requests/"+requestID.String()+"/recovery/recover", api.OperatorsWord{Reason: reason})
}

// Conclude ends an attested request as succeeded or failed.
func (c *Client) Conclude(ctx context.Context, requestID uuid.UUID, result, reason string) (provision.Recovery, error) {
	return c.operate(ctx, "/requests/"+requestID.String()+"/recovery/conclude", api.OperatorsConclusion{Result: result, Reason: reason})
}

// Note says what a resource is known by, for the next run of its instance to
// import, or with "" that it is not there.
func (c *Client) Note(ctx context.Context, instanceID uuid.UUID, address, resourceID, reason string) (provision.Recovery, error) {
	return c.operate(ctx, "/instances/"+instanceID.String()+"/journal", api.ResourceNote{Address: address, ResourceId: resourceID, Reason: reason})
}

// RemoveFromState takes a resource out of an instance's state.
func (c *Client) RemoveFromState(ctx context.Context, instanceID uuid.UUID, address, reason string) (provision.Recovery, error) {
	return c.operate(ctx, "/instances/"+instanceID.String()+"/state/remove", api.StateRemoval{Address: address, Reason: reason})
}

func (c *Client) operate(ctx context.Context, path string, body any) (provision.Recovery, error) {
	var answer api.RecoveryAnswer
	_, err := c.do(ctx, call{method: http.MethodPost, path: path, body: body, repeatable: true}, &answer)
	return answer.Recovery, err
}
