package main

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/notify"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// door is how Backstage and the sidecar know each other.
type door struct {
	auth        httpapi.Authenticator
	keySet      []byte                              // nil when we sign nothing
	directory   provision.Directory                 // nil when nobody can be asked who is in a group
	notifier    notify.Portal                       // nil when we sign nothing
	refresh     func(context.Context, string) error // has the catalog read a location again; nil when we sign nothing
	addresses   notify.Addresses                    // likewise
	permissions httpapi.Permissions                 // nil when the portal's policy is not asked
}

// door is Backstage's tokens and, when we sign, our own key set and the catalog.
func (c sidecarConfig) door(log *slog.Logger) (door, error) {
	var endpoints []backstage.Endpoint
	for plugin, target := range c.Endpoints {
		endpoints = append(endpoints, backstage.Endpoint{Target: target, Plugins: []string{plugin}})
	}
	discovery, err := backstage.NewDiscovery(c.Backstage, endpoints)
	if err != nil {
		return door{}, err
	}
	authenticator, err := backstage.New(backstage.Config{Plugin: "roadbed", Discovery: discovery, Algorithms: c.Algorithms, Log: log})
	if err != nil {
		return door{}, err
	}
	d := door{auth: authenticator, directory: c.directory}
	if c.SigningKey != "" {
		key, err := backstage.LoadKey(c.SigningKey)
		if err != nil {
			return door{}, err
		}
		var others []*ecdsa.PublicKey
		for _, file := range c.Published {
			public, err := backstage.LoadPublicKey(file)
			if err != nil {
				return door{}, err
			}
			others = append(others, public)
		}
		signer, err := backstage.NewSigner("roadbed", key, others...)
		if err != nil {
			return door{}, err
		}
		d.keySet, d.notifier = signer.KeySet(), backstage.NewNotifier(discovery, signer)
		d.refresh = backstage.NewRefresher(discovery, signer).Refresh
		if c.Permissions {
			d.permissions = backstage.NewPermissions(discovery, signer)
		}
		catalog := backstage.NewDirectory(discovery, signer)
		if d.addresses = catalog; d.directory == nil {
			d.directory = catalog
		}
	}
	if c.auth != nil {
		if d.auth, err = c.auth(authenticator); err != nil {
			return door{}, err
		}
	}
	d.auth, err = c.pipelines(d.auth, log)
	return d, err
}

// notifications says whom to tell of what: what the file says, else the portal's
// users, and nobody where there is no way to tell them.
func (c sidecarConfig) notifications(portal notify.Portal) (notify.Config, error) {
	switch {
	case c.Notifications != "":
		text, err := os.ReadFile(c.Notifications)
		if err != nil {
			return notify.Config{}, fmt.Errorf("read notifications: %w", err)
		}
		return notify.ParseConfig(text)
	case portal != nil:
		return notify.Default(), nil
	}
	return notify.Config{}, nil
}

// readPoolTokens answers pools by the digest of their token.
func readPoolTokens(files map[string]string) (map[string]string, error) {
	pools := map[string]string{}
	for pool, file := range files {
		token, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read token of pool %s: %w", pool, err)
		}
		texts := strings.Fields(string(token)) // the next one beside the present one, while workers change over
		if len(texts) == 0 {
			return nil, fmt.Errorf("the file %s holds no token of pool %s", file, pool)
		}
		for _, text := range texts {
			if len(text) < 32 {
				return nil, fmt.Errorf("a token of pool %s in %s is shorter than 32 characters", pool, file)
			}
			pools[httpapi.PoolTokenDigest(text)] = pool
		}
	}
	return pools, nil
}
