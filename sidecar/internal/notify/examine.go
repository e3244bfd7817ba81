package notify

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// Examine looks whether each channel of a config can be reached, by name, and
// sends nothing: it signs in to mail servers and to GitHub, and opens connections
// to the rest. The portal's users are no channel to reach. It blocks for at most
// 10 s each; no error holds a secret.
func Examine(ctx context.Context, c Config) map[string]error {
	found := map[string]error{}
	for name, channel := range c.Channels {
		if channel.Backstage == nil {
			found[name] = channel.reach(ctx)
		}
	}
	return found
}

func (c ChannelConfig) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case c.SMTP != nil:
		client, err := c.SMTP.open(ctx)
		if err != nil {
			return fmt.Errorf("the mail server %s: %w", c.SMTP.Address, err)
		}
		defer client.Close() // again, after Quit; nothing depends on it
		return client.Quit()
	case c.GitHub != nil:
		return c.GitHub.reach(ctx)
	case c.Webhook != nil:
		return reachable(ctx, c.Webhook.URL)
	default:
		address, err := readSecret(c.Slack.URLFile, c.Slack.URLEnv)
		if err != nil {
			return err
		}
		return reachable(ctx, address)
	}
}

// reachable opens a connection to a URL's server and asks it nothing.
func reachable(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("its URL cannot be used") // it may be a secret
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // a service's name
	}
	dial := (&net.Dialer{}).DialContext
	if u.Scheme == "https" {
		dial = (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("it cannot be reached: %w", err)
	}
	return conn.Close()
}

// reach asks for what the token may still ask, which costs nothing.
func (c GitHubConfig) reach(ctx context.Context) error {
	token, err := readSecret(c.TokenFile, c.TokenEnv)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base()+"/rate_limit", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("it cannot be reached: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotFound { // a forge may keep no such limits
		return fmt.Errorf("it answers %s to its token", response.Status)
	}
	return nil
}
