package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

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
		if a := block.Body.Attributes["version"]; a != nil {
			locked.Version = texts(a.Expr)[0]
		}
		if a := block.Body.Attributes["hashes"]; a != nil {
			locked.Hashes = texts(a.Expr)
		}
		providers[block.Labels[0]] = locked
	}
	return providers, nil
}

// texts are the strings of a literal: of a list, or the one; never empty.
func texts(expression hclsyntax.Expression) []string {
	value, faults := expression.Value(nil)
	if faults.HasErrors() || !value.IsWhollyKnown() || value.IsNull() {
		return []string{""}
	}
	if value.Type().FriendlyName() == "string" {
		return []string{value.AsString()}
	}
	var all []string
	for _, element := range value.AsValueSlice() {
		if element.Type().FriendlyName() == "string" {
			all = append(all, element.AsString())
		}
	}
	return append(all, "")
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
		case !slices.ContainsFunc(is.Hashes, func(h string) bool { return h != "" && slices.Contains(may.Hashes, h) }):
			refused = append(refused, fmt.Sprintf("%s %s has none of the hashes in the list", address, is.Version))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	slices.Sort(refused)
	return provision.Errorf(provision.Invalid, "the module uses providers that this worker may not run: %s; lock them in the worker's --providers, or use others", strings.Join(refused, "; "))
}
