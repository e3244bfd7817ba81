package notify

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Config is the file of notifications: channels by name, and which events go
// to which of them. An event goes to every channel of every route that it matches.
type Config struct {
	Channels map[string]ChannelConfig `yaml:"channels"`
	Routes   []Route                  `yaml:"routes"`
}

// ChannelConfig is one of its members.
type ChannelConfig struct {
	Slack     *SlackConfig     `yaml:"slack"`
	SMTP      *SMTPConfig      `yaml:"smtp"`
	Webhook   *WebhookConfig   `yaml:"webhook"`
	Backstage *BackstageConfig `yaml:"backstage"`
	GitHub    *GitHubConfig    `yaml:"github"`
}

// SlackConfig is an incoming webhook; its URL is a secret.
type SlackConfig struct {
	URLFile string `yaml:"url_file"`
	URLEnv  string `yaml:"url_env"`
}

// SMTPConfig is a mail server and who is written to.
type SMTPConfig struct {
	Address      string   `yaml:"address"` // host:port
	TLS          string   `yaml:"tls"`     // starttls (the default), implicit or none
	CAFile       string   `yaml:"ca_file"` // PEM of who vouches for the server, beside whom the machine trusts
	From         string   `yaml:"from"`
	To           []string `yaml:"to"`       // addresses; requester is that of whoever asked, as the catalog has it
	Username     string   `yaml:"username"` // "" for no authentication
	PasswordFile string   `yaml:"password_file"`
	PasswordEnv  string   `yaml:"password_env"`
}

// requester in SMTPConfig.To stands for the address of whoever asked.
const requester = "requester"

// WebhookConfig is a receiver of Standard Webhooks.
type WebhookConfig struct {
	URL        string `yaml:"url"`
	SecretFile string `yaml:"secret_file"`
	SecretEnv  string `yaml:"secret_env"` // whsec_<base64>
}

// BackstageConfig is the portal's notifications: to approvers what waits for
// them, to whoever asked what became of it, to owners what befalls what is theirs.
type BackstageConfig struct{}

// Route sends what it matches to channels.
type Route struct {
	Match Match    `yaml:"match"`
	To    []string `yaml:"to"`
}

// Match is met when each of its members is empty or names the event's.
type Match struct {
	Entity      oneOf `yaml:"entity"`
	Verb        oneOf `yaml:"verb"`
	Environment oneOf `yaml:"environment"`
	Owner       oneOf `yaml:"owner"` // entity refs, or a team's bare name
	Offering    oneOf `yaml:"offering"`
}

// oneOf is one text or a list of them.
type oneOf []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *oneOf) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*o = oneOf{node.Value}
		return nil
	}
	return node.Decode((*[]string)(o))
}

func (o oneOf) has(text string) bool { return len(o) == 0 || slices.Contains(o, text) }

// portalRoutes are what the portal's users are told unless a file says otherwise.
var portalRoutes = []Match{
	{Entity: oneOf{"approval"}, Verb: oneOf{"requested", "given"}},
	{Entity: oneOf{"request"}, Verb: oneOf{"succeeded", "failed", "denied"}},
	{Entity: oneOf{"step"}, Verb: oneOf{"stalled"}},
	{Entity: oneOf{"instance"}, Verb: oneOf{"expiring", "expired"}},
	{Entity: oneOf{"drift"}, Verb: oneOf{"detected", "resolved"}},
	{Entity: oneOf{"unused"}, Verb: oneOf{"found"}},
}

// Default tells the portal's users and nobody else.
func Default() Config {
	c := Config{Channels: map[string]ChannelConfig{"portal": {Backstage: &BackstageConfig{}}}}
	for _, match := range portalRoutes {
		c.Routes = append(c.Routes, Route{Match: match, To: []string{"portal"}})
	}
	return c
}

// ParseConfig reads a file of notifications. Its error has every fault.
func ParseConfig(text []byte) (Config, error) {
	var c Config
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read notifications: %w; secrets are named by _file or _env, never written down", err)
	}
	for i := range c.Routes {
		for j, owner := range c.Routes[i].Match.Owner {
			c.Routes[i].Match.Owner[j] = provision.OwnerRef(owner)
		}
	}
	var faults []error
	if len(c.Channels) == 0 || len(c.Routes) == 0 {
		faults = append(faults, errors.New("it needs channels, and routes to them"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Channels)) {
		for _, fault := range c.Channels[name].faults() {
			faults = append(faults, fmt.Errorf("channel %s: %w", name, fault))
		}
	}
	for i, route := range c.Routes {
		if len(route.To) == 0 {
			faults = append(faults, fmt.Errorf("route %d goes nowhere; give it `to`", i+1))
		}
		for _, to := range route.To {
			if _, known := c.Channels[to]; !known {
				faults = append(faults, fmt.Errorf("route %d goes to %q, which is no channel", i+1, to))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, fmt.Errorf("read notifications: %w", err)
	}
	return c, nil
}

func (c ChannelConfig) faults() (faults []error) {
	kinds := 0
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	secret := func(what, file, env string) {
		if (file == "") == (env == "") {
			fault("give one of %s_file and %s_env", what, what)
		} else if _, err := readSecret(file, env); err != nil {
			faults = append(faults, err)
		}
	}
	if s := c.Slack; s != nil {
		kinds++
		secret("url", s.URLFile, s.URLEnv)
	}
	if w := c.Webhook; w != nil {
		kinds++
		secret("secret", w.SecretFile, w.SecretEnv)
		if u, err := url.Parse(w.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			fault("url is %q; give one such as https://example.com/roadbed", w.URL)
		}
	}
	if m := c.SMTP; m != nil {
		kinds++
		if m.Address == "" || len(m.To) == 0 {
			fault("give address (host:port) and to")
		}
		for _, address := range append([]string{m.From}, m.To...) {
			if address == requester && address != m.From {
				continue
			}
			if _, err := mail.ParseAddress(address); err != nil {
				fault("%q is no mail address", address)
			}
		}
		if !slices.Contains([]string{"", "starttls", "implicit", "none"}, m.TLS) {
			fault("tls is %q; it must be starttls, implicit or none", m.TLS)
		}
		if m.CAFile != "" {
			if _, err := trusted(m.CAFile); err != nil {
				faults = append(faults, err)
			}
		}
		if m.Username != "" {
			secret("password", m.PasswordFile, m.PasswordEnv)
			if m.TLS == "none" {
				fault("a password needs tls")
			}
		}
	}
	if c.Backstage != nil {
		kinds++
	}
	if c.GitHub != nil {
		kinds++
		faults = append(faults, c.GitHub.faults()...)
	}
	if kinds != 1 {
		fault("give one of slack, smtp, webhook, backstage and github")
	}
	return faults
}

// trusted are the authorities that the machine trusts and those in a file; nil,
// which is the machine's, without one.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca_file %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// readSecret reads a secret each time that it is used, so that it may be rotated.
func readSecret(file, env string) (string, error) {
	text := os.Getenv(env)
	if file != "" {
		read, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read a secret: %w", err)
		}
		text = string(read)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", fmt.Errorf("the secret in %s%s is empty", file, env)
	}
	return text, nil
}

// Notable reports whether any route might match an event, as far as that can be
// told before its request has been looked up.
func (c Config) Notable(e provision.Event) bool {
	return slices.ContainsFunc(c.Routes, func(r Route) bool {
		return r.Match.Entity.has(e.Entity) && r.Match.Verb.has(e.Verb) && r.Match.Environment.has(e.Environment)
	})
}

// to are the channels that an event of a thing goes to, sorted.
func (c Config) to(e provision.Event, owner, offering string) []string {
	found := map[string]bool{}
	for _, r := range c.Routes {
		m := r.Match
		if m.Entity.has(e.Entity) && m.Verb.has(e.Verb) && m.Environment.has(e.Environment) && m.Owner.has(owner) && m.Offering.has(offering) {
			for _, channel := range r.To {
				found[channel] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
