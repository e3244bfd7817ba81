package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Drift is how an instance differs from what was asked for.
func (c *Client) Drift(ctx context.Context, instance uuid.UUID) (api.DriftAnswer, error) {
	var answer api.DriftAnswer
	_, err := c.do(ctx, get("/instances/"+instance.String()+"/drift"), &answer)
	return answer, err
}

// DriftGroups are the causes of drift over all instances that the caller may
// see; suppressed ones only when they are asked for.
func (c *Client) DriftGroups(ctx context.Context, suppressed bool) ([]api.DriftGroup, error) {
	k := get("/drift")
	k.query = url.Values{"suppressed": {strconv.FormatBool(suppressed)}}
	var list api.DriftList
	_, err := c.do(ctx, k, &list)
	return list.Items, err
}

// CheckDrift has an instance checked soon. A Conflict says why it cannot be now.
func (c *Client) CheckDrift(ctx context.Context, instance uuid.UUID) (api.DriftAnswer, error) {
	var answer api.DriftAnswer
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/instances/" + instance.String() + "/drift/check", repeatable: true}, &answer)
	return answer, err
}

// RevertDrift asks for an instance to be again as it was asked for, with a key
// as Submit has. cause, when not empty, must still be the drift's.
func (c *Client) RevertDrift(ctx context.Context, key string, instance uuid.UUID, cause string) (api.Request, error) {
	return c.answerDrift(ctx, key, instance, "revert", cause)
}

// AdoptDrift asks for what an instance has become, as RevertDrift does.
func (c *Client) AdoptDrift(ctx context.Context, key string, instance uuid.UUID, cause string) (api.Request, error) {
	return c.answerDrift(ctx, key, instance, "adopt", cause)
}

func (c *Client) answerDrift(ctx context.Context, key string, instance uuid.UUID, how, cause string) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/drift/"+how, key, api.DriftAnswered{Cause: &cause}), &answer)
	return answer.Request, err
}

// SuppressDrift hides an instance's drift until a date.
func (c *Client) SuppressDrift(ctx context.Context, instance uuid.UUID, s api.DriftSuppression) (api.DriftAnswer, error) {
	var answer api.DriftAnswer
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/instances/" + instance.String() + "/drift/suppress", body: s, repeatable: true}, &answer)
	return answer, err
}

func (w *Worker) checkCall(method string, instance uuid.UUID, path, token string) call {
	return call{
		method: method, path: "/worker/checks/" + instance.String() + path, repeatable: true,
		header: http.Header{"Roadbed-Worker": {w.name}, "Roadbed-Run-Token": {token}},
	}
}

// ClaimCheck is the drift check that has been due the longest, or nil. It is
// not repeated by itself: a check that was given and lost is made again later.
func (w *Worker) ClaimCheck(ctx context.Context, busy bool) (*provision.Check, error) {
	var given api.CheckGiven
	_, err := w.client.do(ctx, call{
		method: http.MethodPost, path: "/worker/checks", header: http.Header{"Roadbed-Worker": {w.name}}, body: api.CheckWanted{Busy: busy},
	}, &given)
	return given.Check, err
}

// CheckedState is the sealed state that a drift check goes on from.
func (w *Worker) CheckedState(ctx context.Context, instance uuid.UUID, token string) (provision.StateVersion, error) {
	k := w.checkCall(http.MethodGet, instance, "/state", token)
	k.timeout = largeTimeout
	version := provision.StateVersion{InstanceID: instance, Head: true}
	header, err := w.client.do(ctx, k, &version.Sealed)
	if err != nil {
		return provision.StateVersion{}, err
	}
	version.Lineage = header.Get("Roadbed-State-Lineage")
	if version.Serial, err = strconv.ParseInt(header.Get("Roadbed-State-Serial"), 10, 64); err != nil {
		return provision.StateVersion{}, fmt.Errorf("read the serial of the state of instance %s: %w", instance, err)
	}
	return version, nil
}

// FinishCheck tells what a drift check found. Conflict: nobody waits for it any more.
func (w *Worker) FinishCheck(ctx context.Context, instance uuid.UUID, token string, found provision.Checked) error {
	if found.Changes == nil {
		found.Changes = []provision.Change{}
	}
	if found.Drifted == nil {
		found.Drifted = []provision.Change{}
	}
	k := w.checkCall(http.MethodPut, instance, "", token)
	k.body = found
	_, err := w.client.do(ctx, k, nil)
	return err
}
