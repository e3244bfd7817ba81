package offering

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Prices is what prices an offering.
type Prices interface {
	provision.Pricer

	// Reads are the parameters that decide the price.
	Reads(o provision.Offering) ([]string, error)
}

// Catalog is the offerings of one tree. It is read once and never changes; it
// may be used from many goroutines.
type Catalog struct {
	offerings  map[string]provision.Offering
	bundles    map[string][]byte // by digest
	warnings   []Problem
	validators sync.Map // digest, whole or in part -> *validator
}

// Open reads every folder of fsys that holds an offering.yaml. Prices give
// presets their price and test the declared ranges; nil leaves both out. It is
// Invalid, with every fault of every folder, when a contract is broken.
func Open(fsys fs.FS, prices Prices) (*Catalog, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("read the offerings: %w", err)
	}
	c := &Catalog{offerings: map[string]provision.Offering{}, bundles: map[string][]byte{}}
	var broken []error
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		loaded, warnings, err := Load(fsys, entry.Name())
		if provision.KindOf(err) == provision.NotFound {
			continue
		}
		if err != nil {
			broken = append(broken, err)
			continue
		}
		if prices != nil {
			warnings = append(warnings, checkPrices(&loaded, prices)...)
		}
		c.warnings = append(c.warnings, warnings...)
		o := loaded.Offering
		c.offerings[o.ID] = o
		if c.bundles[o.Digest], err = pack(loaded.Files); err != nil {
			return nil, fmt.Errorf("pack offering %s: %w", o.ID, err)
		}
	}
	if len(broken) == 0 {
		return c, nil
	}
	joined := provision.Errorf(provision.Invalid, "%w", errors.Join(broken...))
	for _, err := range broken {
		var shown *provision.Error
		if errors.As(err, &shown) {
			joined.Details = append(joined.Details, shown.Details...)
		}
	}
	return nil, joined
}

// Offering is the offering called id, or NotFound with the names that there are.
func (c *Catalog) Offering(id string) (provision.Offering, error) {
	o, ok := c.offerings[id]
	if !ok {
		return provision.Offering{}, provision.Errorf(provision.NotFound, "there is no offering %s; there is %s",
			quote(id), list(slices.Sorted(maps.Keys(c.offerings))))
	}
	return o, nil
}

// Offerings are all of them, sorted by id; never nil.
func (c *Catalog) Offerings() []provision.Offering {
	all := make([]provision.Offering, 0, len(c.offerings))
	for _, id := range slices.Sorted(maps.Keys(c.offerings)) {
		all = append(all, c.offerings[id])
	}
	return all
}

// Warnings are what was found wrong and let through, in the order of the tree.
func (c *Catalog) Warnings() []Problem { return slices.Clone(c.warnings) }

// Check is p as it will be used: valid, defaults filled in, whole numbers as
// int64, the owner as the short name of its group. It leaves p alone, and
// checking twice changes nothing. It is Invalid with every fault at once. The
// offering may be one of an older version, which the catalog no longer has.
func (c *Catalog) Check(o provision.Offering, p provision.Parameters) (provision.Parameters, error) {
	validator, err := c.validator(o.Digest, func() provision.Offering { return o })
	if err != nil {
		return nil, err
	}
	return validator.check(p)
}

// CheckPart is Check for the named parameters alone, none of which need be
// there, with their defaults. A form that is half filled in can be priced with
// the ones that decide the price.
func (c *Catalog) CheckPart(o provision.Offering, p provision.Parameters, names []string) (provision.Parameters, error) {
	validator, err := c.validator(o.Digest+" in part", func() provision.Offering { return withoutRequired(o) })
	if err != nil {
		return nil, err
	}
	part := provision.Parameters{}
	for _, name := range names {
		if value, ok := p[name]; ok {
			part[name] = value
		}
	}
	final, err := validator.check(part)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(final, func(name string, _ any) bool { return !slices.Contains(names, name) })
	return final, nil
}

// validator compiles a schema the first time that it is asked for.
func (c *Catalog) validator(key string, of func() provision.Offering) (*validator, error) {
	if known, ok := c.validators.Load(key); ok {
		return known.(*validator), nil
	}
	made, err := newValidator(of())
	if err != nil {
		return nil, err
	}
	known, _ := c.validators.LoadOrStore(key, made)
	return known.(*validator), nil
}

// Bundle is the contract and modules of the offering with this digest as
// tar.gz, the same bytes each time, or NotFound. The caller must not change it.
func (c *Catalog) Bundle(digest string) ([]byte, error) {
	bundle, ok := c.bundles[digest]
	if !ok {
		return nil, provision.Errorf(provision.NotFound, "there is no offering with the digest %s", quote(digest))
	}
	return bundle, nil
}
