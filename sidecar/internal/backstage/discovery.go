package backstage

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// pluginID is what Backstage allows as a plugin's id. It is checked before an
// id becomes part of a URL.
var pluginID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Endpoint says where some plugins are, as an entry of Backstage's
// discovery.endpoints does.
type Endpoint struct {
	Target  string   // base URL; {{pluginId}} stands for the plugin's id
	Plugins []string // plugin ids, or "*"
}

// Discovery finds the base URL of a plugin. It is immutable.
type Discovery struct {
	base      string
	endpoints []Endpoint
}

// NewDiscovery finds plugins under base, as in "http://backstage:7007", unless
// a later endpoint names them. A URL that is not http or https with a host is
// Invalid.
func NewDiscovery(base string, endpoints []Endpoint) (*Discovery, error) {
	d := &Discovery{base: strings.TrimRight(base, "/") + "/api/{{pluginId}}"}
	if err := checkTarget(d.base); err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		target := strings.ReplaceAll(strings.TrimRight(e.Target, "/"), "{{ pluginId }}", "{{pluginId}}")
		if err := checkTarget(target); err != nil {
			return nil, err
		}
		d.endpoints = append(d.endpoints, Endpoint{Target: target, Plugins: slices.Clone(e.Plugins)})
	}
	return d, nil
}

func checkTarget(target string) error {
	u, err := url.Parse(strings.ReplaceAll(target, "{{pluginId}}", "plugin"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return provision.Errorf(provision.Invalid, "%q is not a base URL of Backstage; give one like http://backstage:7007", target)
	}
	return nil
}

// URL is the base URL of a plugin, without a trailing slash. An id that
// Backstage would not allow is Invalid.
func (d *Discovery) URL(plugin string) (string, error) {
	if !pluginID.MatchString(plugin) {
		return "", provision.Errorf(provision.Invalid, "%q is not a plugin id", plugin)
	}
	target := d.base
	for _, e := range d.endpoints { // the last that matches wins, as in Backstage
		if slices.Contains(e.Plugins, plugin) || slices.Contains(e.Plugins, "*") {
			target = e.Target
		}
	}
	return strings.ReplaceAll(target, "{{pluginId}}", plugin), nil
}
