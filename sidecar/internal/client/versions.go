package client

import (
	"context"
	"net/http"
	"net/url"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// versionVerbs are the last part of the path that gives a version each state.
var versionVerbs = map[provision.VersionState]string{
	provision.Published: "publish", provision.Deprecated: "deprecate", provision.Withdrawn: "withdraw",
}

// OfferingVersions are the versions of an offering, the latest served first; an
// unknown offering is NotFound.
func (c *Client) OfferingVersions(ctx context.Context, offering string) ([]api.OfferingVersion, error) {
	var list api.OfferingVersionList
	_, err := c.do(ctx, get("/offerings/"+url.PathEscape(offering)+"/versions"), &list)
	return list.Items, err
}

// MoveVersion publishes, deprecates or withdraws a version. It may be repeated.
func (c *Client) MoveVersion(ctx context.Context, offering, version string, to provision.VersionState, reason string) (api.OfferingVersion, error) {
	var moved api.OfferingVersion
	path := "/offerings/" + url.PathEscape(offering) + "/versions/" + url.PathEscape(version) + "/" + versionVerbs[to]
	_, err := c.do(ctx, call{method: http.MethodPost, path: path, body: api.VersionMove{Reason: reason}, repeatable: true}, &moved)
	return moved, err
}
