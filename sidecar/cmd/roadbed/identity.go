package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/deploy/environments"
	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/devenv"
)

// people are who `roadbed … --as NAME` can be in a development environment;
// the portal's examples/org.yaml has the same.
var people = map[string]string{"ann": "payments", "ben": "search", "pat": "platform-team"}

// devIdentity is the site's key for development tokens, made when missing.
func devIdentity(site *devenv.Site) (*ecdsa.PrivateKey, error) {
	key, err := backstage.LoadKey(site.IdentityFile())
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = backstage.NewKey(); err != nil {
		return nil, err
	}
	text, err := backstage.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(site.IdentityFile(), text, 0o600); err != nil {
		return nil, fmt.Errorf("write development key: %w", err)
	}
	return key, nil
}

// devSigningKey is the file of the key that the site signs its own plugin tokens
// with, made when missing.
func devSigningKey(site *devenv.Site) (string, error) {
	file := site.Path("signing.pem")
	if _, err := os.Stat(file); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	key, err := backstage.NewKey()
	if err != nil {
		return "", err
	}
	text, err := backstage.EncodeKey(key)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("write signing key: %w", err)
	}
	return file, nil
}

// devDirectory is people as a catalog, for a site without a portal.
type devDirectory struct{}

// Members implements provision.Directory.
func (devDirectory) Members(_ context.Context, group string) ([]string, error) {
	var members []string
	for name, team := range people {
		if group == "group:default/"+team {
			members = append(members, "user:default/"+name)
		}
	}
	slices.Sort(members)
	return members, nil
}

// devToken is a token for one of people in the site's environment. Reading the
// site's key is what entitles to it.
func devToken(site *devenv.Site, name string) (string, error) {
	team, ok := people[name]
	if !ok {
		return "", fmt.Errorf("there is no %q here; be ann (payments), ben (search) or pat (platform-team)", name)
	}
	key, err := backstage.LoadKey(site.IdentityFile())
	if err != nil {
		return "", fmt.Errorf("%w (is `roadbed dev` running on %s?)", err, site.Dir)
	}
	identity, err := backstage.NewDevIdentity(key, nil)
	if err != nil {
		return "", err
	}
	user := "user:default/" + name
	return identity.Token(user, []string{user, "group:default/" + team}, time.Hour)
}

// writeDevEnvironments writes the built-in environments with sites as the
// folder for pages, and snapshots for what databases held.
func writeDevEnvironments(dir, sites, snapshots string) error {
	read, err := readEnvironments(environments.FS)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	for name, e := range read {
		e.Settings = map[string]string{"sites_directory": sites, "snapshots_directory": snapshots}
		text, err := yaml.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode environment %s: %w", name, err)
		}
		header := "# Written by roadbed dev at each start.\n"
		if err := os.WriteFile(filepath.Join(dir, strings.ToLower(name)+".yaml"), append([]byte(header), text...), 0o644); err != nil {
			return fmt.Errorf("write environment: %w", err)
		}
	}
	return nil
}
