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
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	callTimeout  = 40 * time.Second // more than the longest wait for changes
	largeTimeout = 5 * time.Minute  // for states and bundles
	deafness     = 45 * time.Second // three comments missed on a stream: the line is dead
	maxAnswer    = 64 << 20         // bytes of an answer that is read into memory
)

// Client calls the API for a person or a plugin. It may be used from many
// goroutines. Every method blocks until it is answered or its context ends, and
// returns *provision.Error for what the sidecar refuses.
type Client struct {
	base        string
	http        *http.Client
	token       func(context.Context) (string, error)
	retry       time.Duration
	interrupted func(error)
	silence     time.Duration // that ends a stream
}

// New is a client of the API at baseURL, as in http://roadbed:7099/api/roadbed,
// that sends token with each call; "" sends none. A URL that is not one is
// Invalid. It connects to nothing yet.
func New(baseURL, token string, options ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, provision.Errorf(provision.Invalid, "%q is not the URL of Roadbed's API; give one like http://localhost:7099/api/roadbed", baseURL)
	}
	c := &Client{
		base:        strings.TrimRight(baseURL, "/"),
		http:        &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()},
		token:       func(context.Context) (string, error) { return token, nil },
		interrupted: func(error) {},
		silence:     deafness,
	}
	for _, option := range options {
		if err := option(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Option changes how a client calls.
type Option func(*Client) error

// Retry lets a call that may be repeated (a GET, or a POST that has a key or
// changes nothing) be repeated for up to d while the sidecar answers 503, refuses
// the connection or drops it. Without it every call is made once.
func Retry(d time.Duration) Option {
	return func(c *Client) error {
		c.retry = d
		return nil
	}
}

// TokenSource asks source for the token of each call, for tokens that expire.
func TokenSource(source func(context.Context) (string, error)) Option {
	return func(c *Client) error {
		c.token = source
		return nil
	}
}

// Interrupted has tell called, from the follower's goroutine, whenever a stream
// that Follow or FollowLog reads was lost and is about to be resumed.
func Interrupted(tell func(error)) Option {
	return func(c *Client) error {
		c.interrupted = tell
		return nil
	}
}

// Trust also trusts the certificate authorities in a PEM file; "" adds none. A
// file without certificates is Invalid.
func Trust(caFile string) Option {
	return func(c *Client) error {
		if caFile == "" {
			return nil
		}
		text, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("read certificate authorities: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool() // a machine without any trusts the file alone
		}
		if !pool.AppendCertsFromPEM(text) {
			return provision.Errorf(provision.Invalid, "%s holds no certificate in PEM", caFile)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		c.http = &http.Client{Transport: transport}
		return nil
	}
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
		case ctx.Err() != nil || !passing(last):
			return nil, backoff.Permanent(last)
		case errors.As(last, &refused) && refused.RetryAfter > 0:
			return nil, &backoff.RetryAfterError{Duration: refused.RetryAfter}
		}
		return nil, last
	}, backoff.WithMaxElapsedTime(c.retry), backoff.WithBackOff(pauses(5*time.Second)))
	if err != nil && last != nil {
		return nil, last // the sidecar's own words, rather than that time ran out
	}
	return header, err
}

// pauses are the waits between attempts, up to most.
func pauses(most time.Duration) *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: most}
	b.Reset()
	return b
}

// passing reports whether err is a sidecar that is busy or restarting: it, or a
// proxy before it, has answered so, or the connection was refused or dropped. A
// name that does not resolve or a certificate that is not trusted does not pass.
func passing(err error) bool {
	var refused *provision.Error
	if !errors.As(err, &refused) || refused.Kind != provision.Unavailable {
		return false
	}
	cause := refused.Unwrap()
	return cause == nil || slices.ContainsFunc(
		[]error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF},
		func(drop error) bool { return errors.Is(cause, drop) },
	)
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
		return nil, c.unreachable(fmt.Errorf("read answer of %s %s: %w", k.method, k.path, err))
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("answer of %s %s is larger than %d bytes", k.method, k.path, maxAnswer)
	}
	switch out := out.(type) {
	case nil:
	case *[]byte:
		*out = body
	default:
		if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "application/json" {
			return nil, fmt.Errorf("what answers at %s is not Roadbed's API: %s %s gave %q, not JSON", c.base, k.method, k.path, kind)
		}
		if err := decode(body, out); err != nil {
			return nil, fmt.Errorf("decode answer of %s %s: %w", k.method, k.path, err)
		}
	}
	return res.Header, nil
}

// decode reads JSON; numbers in an any stay as they were written.
func decode(text []byte, out any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(out)
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
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(fmt.Errorf("%s %s: %w", k.method, k.path, err))
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		return nil, refusalOf(res)
	}
	return res, nil
}

func (c *Client) unreachable(cause error) error {
	return provision.Unreachable("Roadbed at "+c.base, cause)
}
