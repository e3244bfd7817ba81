package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/deploy/environments"
	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// ownedFiles are the three things a platform team owns. The binary carries
// those of its repository; a flag names another folder.
type ownedFiles struct {
	Offerings    string `help:"Folder of offerings instead of the built-in ones." type:"existingdir" env:"ROADBED_OFFERINGS"`
	Policies     string `help:"Folder of policies instead of the built-in ones." type:"existingdir" env:"ROADBED_POLICIES"`
	Environments string `help:"Folder of environment files instead of the built-in ones." type:"existingdir" env:"ROADBED_ENVIRONMENTS"`
}

func folder(dir string, builtin fs.FS) fs.FS {
	if dir == "" {
		return builtin
	}
	return os.DirFS(dir)
}

// domain is what decides, read from the owned files.
type domain struct {
	offeringFiles fs.FS
	policyFiles   fs.FS
	bundle        *policy.Bundle
	prices        *cost.Pricer
	catalog       *offering.Catalog
	environments  map[string]provision.Environment
	judge         provision.Judge

	live       *policy.Live                // nil while the policies cannot change
	watch      func(context.Context) error // keeps live; nil when live is
	looks      func() (done func(error))   // is told of each look of watch; nil: nobody is
	authorizer provision.Authorizer        // the policies in force
	calendar   provision.Calendar          // the same
	limits     func() provision.Limits     // the same
	served     provision.Catalog           // what is published, at the prices in force

	publication *provision.Publication // of the catalog
}

func (o ownedFiles) load() (*domain, error) {
	d := &domain{offeringFiles: folder(o.Offerings, templates.FS), policyFiles: folder(o.Policies, policies.FS)}
	var err error
	if d.bundle, err = policy.Load(d.policyFiles); err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	book, err := cost.ParseBook(d.bundle.PricesYAML())
	if err != nil {
		return nil, fmt.Errorf("load prices: %w", err)
	}
	d.prices = cost.New(book)
	if d.catalog, err = offering.Open(d.offeringFiles, d.prices); err != nil {
		return nil, fmt.Errorf("load offerings: %w", err)
	}
	if d.environments, err = readEnvironments(folder(o.Environments, environments.FS)); err != nil {
		return nil, err
	}
	d.judge = provision.Judge{Prices: d.prices, Rules: d.bundle}
	d.publication = provision.NewPublication(d.catalog)
	d.authorizer, d.calendar, d.limits, d.served = d.bundle, d.bundle, d.bundle.Limits, d.publication
	return d, nil
}

var environmentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// readEnvironments reads each <name>.yaml; a file whose name is not its
// environment's is refused.
func readEnvironments(fsys fs.FS) (map[string]provision.Environment, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	read := map[string]provision.Environment{}
	for _, file := range files {
		f, err := fsys.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read environment: %w", err)
		}
		var e provision.Environment
		decoder := yaml.NewDecoder(f)
		decoder.KnownFields(true)
		err = decoder.Decode(&e)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read environment %s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		switch {
		case !environmentName.MatchString(name):
			return nil, fmt.Errorf("environment file %s: a name is lowercase letters, digits and hyphens, for it is a namespace in the catalog and part of subjects on NATS", file)
		case e.Name != name:
			return nil, fmt.Errorf("environment file %s has the name %q; call it %q", file, e.Name, name)
		case e.Implementation == "" || e.Pool == "":
			return nil, fmt.Errorf("environment file %s needs an implementation and a pool", file)
		}
		read[name] = e
	}
	if len(read) == 0 {
		return nil, fmt.Errorf("there is no environment file; add one such as dev.yaml")
	}
	return read, nil
}

// pools are the pools of all environments, each once.
func (d *domain) pools() []string {
	named := map[string]bool{}
	for _, e := range d.environments {
		named[e.Pool] = true
	}
	return slices.Sorted(maps.Keys(named))
}

// offlineService answers without a store: only Evaluate and what it needs.
func (d *domain) offlineService() *provision.Service {
	return &provision.Service{
		Catalog: d.catalog, Judge: d.judge, Authorizer: d.bundle, Calendar: d.bundle, Environments: d.environments, Now: time.Now,
	}
}

// publish keeps every offering's bundle, so that what is made by this version
// can be destroyed by this version.
func (d *domain) publish(ctx context.Context, store provision.Store) error {
	for _, o := range d.catalog.Offerings() {
		bundle, err := d.catalog.Bundle(o.Digest)
		if err != nil {
			return err
		}
		if err := store.PutBundle(ctx, o, bundle); err != nil {
			return fmt.Errorf("publish offering %s: %w", o.ID, err)
		}
	}
	return nil
}
