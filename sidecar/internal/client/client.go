package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	callTimeout  = 40 * time.Second // more than the longest wait for changes
	largeTimeout = 5 * time.Minute  // for states and bundles
	maxAnswer    = 64 << 20         // bytes of an answer that is read into memory
)

// Options are what a client may be told; the zero value is a client that asks
// once and sends no token.
type Options struct {
	// Token gives the bearer token for each call; nil sends none.
	Token func(ctx context.Context) (string, error)
	// HTTP makes the connections; nil is a client of its own.
	HTTP *http.Client
	// Retry is how long a call that may be repeated is repeated while the
	// sidecar is Unavailable; 0 asks once.
	Retry time.Duration
}

// Token is a token that never changes, for Options.
func Token(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// HTTPClient is a client that also trusts the certificate authorities in a PEM
// file; "" adds none. A file without certificates is Invalid.
func HTTPClient(caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without any trusts the file alone
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, provision.Errorf(provision.Invalid, "%s holds no certificate in PEM", caFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

// Client calls the API for a person or a plugin. It may be used from many
// goroutines. Every method blocks until it is answered and returns
// *provision.Error for what the sidecar refuses.
type Client struct {
	base  string
	http  *http.Client
	token func(context.Context) (string, error)
	retry time.Duration
}

// New is a client of the API at baseURL, as in http://roadbed:7099/api/roadbed.
// A URL that is not one is Invalid.
func New(baseURL string, o Options) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, provision.Errorf(provision.Invalid, "%q is not the URL of Roadbed's API; give one like http://localhost:7099/api/roadbed", baseURL)
	}
	if o.HTTP == nil {
		if o.HTTP, err = HTTPClient(""); err != nil {
			return nil, err
		}
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), http: o.HTTP, token: o.Token, retry: o.Retry}, nil
}

// call is one call of the API.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         any           // JSON, or bytes as they are
	repeatable   bool          // the sidecar gives the same answer again
	timeout      time.Duration // 0 is callTimeout
}

// do makes the call and reads its answer into out, which may be nil or *[]byte.
func (c *Client) do(ctx context.Context, k call, out any) (http.Header, error) {
	if !k.repeatable || c.retry == 0 {
		return c.once(ctx, k, out)
	}
	var last error
	header, err := backoff.Retry(ctx, func() (http.Header, error) {
		var header http.Header
		header, last = c.once(ctx, k, out)
		var refused *provision.Error
		switch {
		case last == nil:
			return header, nil
		case !errors.As(last, &refused) || refused.Kind != provision.Unavailable || ctx.Err() != nil:
			return nil, backoff.Permanent(last)
		case refused.RetryAfter > 0:
			return nil, backoff.RetryAfter(int(refused.RetryAfter / time.Second))
		}
		return nil, last
	}, backoff.WithMaxElapsedTime(c.retry), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 5 * time.Second,
	}))
	if err != nil && last != nil {
		return nil, last // the sidecar's own words, rather than that time ran out
	}
	return header, err
}

func (c *Client) once(ctx context.Context, k call, out any) (http.Header, error) {
	timeout := k.timeout
	if timeout == 0 {
		timeout = callTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := c.send(ctx, k)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unreachable(fmt.Errorf("read answer of %s %s: %w", k.method, k.path, err))
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("answer of %s %s is larger than %d bytes", k.method, k.path, maxAnswer)
	}
	switch out := out.(type) {
	case nil:
	case *[]byte:
		*out = body
	default:
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber() // whole numbers stay whole
		if err := dec.Decode(out); err != nil {
			return nil, fmt.Errorf("decode answer of %s %s: %w", k.method, k.path, err)
		}
	}
	return res.Header, nil
}

// send makes the call and returns a successful answer, whose body the caller
// closes.
func (c *Client) send(ctx context.Context, k call) (*http.Response, error) {
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	var body io.Reader
	kind := "application/json"
	switch b := k.body.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(b), "application/octet-stream"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", k.method, k.path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make %s %s: %w", k.method, k.path, err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if c.token != nil {
		token, err := c.token(ctx)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(fmt.Errorf("%s %s: %w", k.method, k.path, err))
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, refusalOf(res)
	}
	return res, nil
}

func unreachable(cause error) error { return provision.Unreachable("Roadbed", cause) }

// kinds is the kind of error by the name that the API gives it.
var kinds = map[string]provision.Kind{
	"InputError":              provision.Invalid,
	"AuthenticationError":     provision.Unauthenticated,
	"NotAllowedError":         provision.Denied,
	"NotFoundError":           provision.NotFound,
	"ConflictError":           provision.Conflict,
	"GoneError":               provision.Gone,
	"ServiceUnavailableError": provision.Unavailable,
	"PayloadTooLargeError":    provision.Invalid,
	"MethodNotAllowedError":   provision.Invalid,
}

// statuses is the kind of an answer that is not in the API's shape: something
// between us and the sidecar gave it.
var statuses = map[int]provision.Kind{
	http.StatusUnauthorized:       provision.Unauthenticated,
	http.StatusForbidden:          provision.Denied,
	http.StatusNotFound:           provision.NotFound,
	http.StatusConflict:           provision.Conflict,
	http.StatusGone:               provision.Gone,
	http.StatusTooManyRequests:    provision.Unavailable,
	http.StatusBadGateway:         provision.Unavailable,
	http.StatusServiceUnavailable: provision.Unavailable,
	http.StatusGatewayTimeout:     provision.Unavailable,
}

// refusalOf reads an error answer.
func refusalOf(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // a part is still more than nothing
	var body struct {
		Error struct {
			Name      string              `json:"name"`
			Message   string              `json:"message"`
			Details   []provision.Fault   `json:"details"`
			Findings  []provision.Finding `json:"findings"`
			RequestID string              `json:"request_id"`
		} `json:"error"`
	}
	refused := &provision.Error{Kind: statuses[res.StatusCode]}
	if err := json.Unmarshal(text, &body); err == nil && body.Error.Message != "" {
		if kind, ok := kinds[body.Error.Name]; ok {
			refused.Kind = kind
		}
		refused.Message, refused.Details, refused.Findings = body.Error.Message, body.Error.Details, body.Error.Findings
		refused.RequestID = body.Error.RequestID
	} else {
		refused.Message = fmt.Sprintf("Roadbed answered %s", res.Status)
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		refused.RetryAfter = min(time.Duration(seconds)*time.Second, time.Minute)
	}
	return refused
}
