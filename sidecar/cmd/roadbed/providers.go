package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

type providersCommand struct {
	Lock providersLockCommand `cmd:"" help:"Write the list of the providers that offerings use, by version and hash, for a worker's --providers."`
}

type providersLockCommand struct {
	ownedFiles
	File           string   `arg:"" help:"The file to write." type:"path"`
	Implementation []string `help:"Only modules of this implementation, as a pool's environments have it; repeat it for each." placeholder:"NAME"`
	Terraform      string   `help:"The terraform or tofu to ask; by default the one on PATH, else one that is downloaded." env:"ROADBED_TERRAFORM"`
	CLIConfig      string   `help:"Terraform's CLI configuration, which names the provider mirror." env:"TF_CLI_CONFIG_FILE"`
}

// Run initialises each module as a worker would, so what is written is what that
// worker would run, from the same mirror. No provider runs. It may take minutes
// where providers are downloaded.
func (c *providersLockCommand) Run(ctx context.Context, out io.Writer) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp("", "roadbed-providers-")
	if err != nil {
		return fmt.Errorf("make a folder for the modules: %w", err)
	}
	defer os.RemoveAll(home)
	binary, err := terraform.Find(ctx, terraform.Search{Path: c.Terraform, CacheDir: filepath.Join(home, "terraform")})
	if err != nil {
		return err
	}
	settings := terraform.Settings{Binary: binary, CLIConfig: c.CLIConfig}
	if err := settings.Check(); err != nil {
		return err
	}
	all := terraform.Providers{}
	for _, o := range d.catalog.Offerings() {
		bundle, err := d.catalog.Bundle(o.Digest)
		if err != nil {
			return err
		}
		dir := filepath.Join(home, o.ID)
		if err := offering.Unpack(bundle, dir); err != nil {
			return err
		}
		for _, implementation := range o.Implementations {
			if len(c.Implementation) > 0 && !slices.Contains(c.Implementation, implementation) {
				continue
			}
			module := func(context.Context) (fs.FS, error) {
				return fs.Sub(os.DirFS(dir), path.Join("module", implementation))
			}
			prepared, err := settings.Prepare(ctx, filepath.Join(home, "prepared"), o.Digest, implementation, module)
			if err != nil {
				return fmt.Errorf("the module %s of %s: %w (leave other pools' modules out with --implementation)%s", implementation, o.ID, err, detailOf(err))
			}
			if err := all.Take(prepared); err != nil {
				return fmt.Errorf("the module %s of %s: %w", implementation, o.ID, err)
			}
		}
	}
	if err := os.WriteFile(c.File, all.Text(), 0o644); err != nil {
		return fmt.Errorf("write the list of providers: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, address := range all.Addresses() {
		fmt.Fprintf(table, "%s\t%s\n", address, all[address].Version)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s has %d; give it to each worker with --providers\n", c.File, len(all))
	return nil
}

// detailOf is what Terraform said, on lines of its own.
func detailOf(err error) string {
	var failure *terraform.Failure
	if !errors.As(err, &failure) {
		return ""
	}
	said := ""
	for _, d := range failure.Diagnostics {
		said += "\n" + d.Detail
	}
	return said
}
