package backstage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// caller calls other plugins as this one. It may be used from many goroutines.
type caller struct {
	discovery *Discovery
	signer    *Signer
	http      *http.Client
}

func newCaller(discovery *Discovery, signer *Signer) caller {
	return caller{discovery, signer, newHTTPClient()}
}

// post sends a body as JSON to a path of a plugin with a token, and answers the
// status and the body. It blocks for at most some seconds.
func (c caller) post(ctx context.Context, plugin, path, token string, in any) (status int, out []byte, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, nil, fmt.Errorf("encode what is sent to plugin %s: %w", plugin, err)
	}
	base, err := c.discovery.URL(plugin)
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	out, err = io.ReadAll(io.LimitReader(res.Body, maxBody)) // to its end, so that the connection is used again
	return res.StatusCode, out, err
}

// tell is post with this plugin's own token, for what needs no answer.
func (c caller) tell(ctx context.Context, plugin, path string, in any) (status int, err error) {
	token, err := c.signer.Token(plugin)
	if err != nil {
		return 0, err
	}
	status, _, err = c.post(ctx, plugin, path, token, in)
	return status, err
}
