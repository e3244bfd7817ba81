package terraform

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// lockFile is where Terraform writes which providers a module was initialised with.
const lockFile = ".terraform.lock.hcl"

// Providers are the providers that modules may use, by their full address, as in
// registry.terraform.io/hashicorp/aws.
type Providers map[string]LockedProvider

// LockedProvider is one provider in a dependency lock file.
type LockedProvider struct {
	Version string
	Hashes  []string // as h1:… and zh:…
}

// lockedWord is what addresses, versions and hashes are made of.
var lockedWord = regexp.MustCompile(`^[A-Za-z0-9._:/+=~-]*$`)

// ReadProviders reads a dependency lock file, such as `terraform providers lock`
// writes.
func ReadProviders(file string) (Providers, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read locked providers: %w", err)
	}
	parsed, faults := hclsyntax.ParseConfig(text, filepath.Base(file), hcl.InitialPos)
	if faults.HasErrors() {
		return nil, provision.Errorf(provision.Invalid, "%s is no dependency lock file: %w", file, faults)
	}
	providers := Providers{}
	for _, block := range parsed.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "provider" || len(block.Labels) != 1 {
			continue
		}
		var locked LockedProvider
		if versions := texts(block.Body.Attributes["version"]); len(versions) > 0 {
			locked.Version = versions[0]
		}
		locked.Hashes = texts(block.Body.Attributes["hashes"])
		for _, word := range append([]string{block.Labels[0], locked.Version}, locked.Hashes...) {
			if !lockedWord.MatchString(word) {
				return nil, provision.Errorf(provision.Invalid, "%s is no dependency lock file: it has %.60q where a name, a version or a hash stands", file, word)
			}
		}
		providers[block.Labels[0]] = locked
	}
	return providers, nil
}

// texts are the strings of an attribute that is a literal: of a list, or the
// one; none of anything else.
func texts(attribute *hclsyntax.Attribute) []string {
	if attribute == nil {
		return nil
	}
	value, faults := attribute.Expr.Value(nil)
	if faults.HasErrors() || !value.IsWhollyKnown() || value.IsNull() {
		return nil
	}
	if value.Type() == cty.String {
		return []string{value.AsString()}
	}
	if !value.CanIterateElements() {
		return nil
	}
	var all []string
	for _, element := range value.AsValueSlice() {
		if element.Type() == cty.String && !element.IsNull() {
			all = append(all, element.AsString())
		}
	}
	return all
}

// allow refuses what init has installed in work unless each provider is allowed,
// in its version and with its hash. Nothing of a provider has run yet.
func (p Providers) allow(work string) error {
	installed, err := ReadProviders(filepath.Join(work, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the module uses none
	}
	if err != nil {
		return err
	}
	var refused []string
	for address, is := range installed {
		may, known := p[address]
		switch {
		case !known:
			refused = append(refused, address+" is not in the list")
		case is.Version != may.Version:
			refused = append(refused, fmt.Sprintf("%s is %s, the list has %s", address, is.Version, may.Version))
		case !slices.ContainsFunc(is.Hashes, func(h string) bool { return slices.Contains(may.Hashes, h) }):
			refused = append(refused, fmt.Sprintf("%s %s has none of the hashes in the list", address, is.Version))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	slices.Sort(refused)
	return provision.Errorf(provision.Invalid, "the module uses providers that this worker may not run: %s; lock them in the worker's --providers, or use others", strings.Join(refused, "; "))
}

// Take adds what init has installed for a module. Another version of a provider
// that is there already is Invalid: a list has one of each.
func (p Providers) Take(module Prepared) error {
	installed, err := ReadProviders(filepath.Join(module.Dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the module uses none
	}
	if err != nil {
		return err
	}
	for address, is := range installed {
		if had, known := p[address]; known && had.Version != is.Version {
			return provision.Errorf(provision.Invalid, "it uses %s %s, and another module %s; let both require one version", address, is.Version, had.Version)
		}
		p[address] = is
	}
	return nil
}

// Addresses are the providers' addresses, sorted.
func (p Providers) Addresses() []string { return slices.Sorted(maps.Keys(p)) }

// Text is the providers as a dependency lock file, which ReadProviders reads.
func (p Providers) Text() []byte {
	var text bytes.Buffer
	for _, address := range p.Addresses() {
		fmt.Fprintf(&text, "provider %q {\n  version = %q\n  hashes = [\n", address, p[address].Version)
		for _, hash := range slices.Compact(slices.Sorted(slices.Values(p[address].Hashes))) {
			fmt.Fprintf(&text, "    %q,\n", hash)
		}
		text.WriteString("  ]\n}\n\n")
	}
	return text.Bytes()
}
