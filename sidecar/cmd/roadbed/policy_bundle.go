package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
)

type policyBundleCommand struct {
	policyFiles
	Output    string `help:"File to write." required:"" short:"o" type:"path" placeholder:"FILE"`
	Revision  string `help:"The manifest's revision, such as a commit; by default the bundle's digest."`
	Key       string `name:"signing-key" help:"PEM file of a private key to sign the bundle with." type:"existingfile"`
	Algorithm string `name:"signing-algorithm" help:"What the key signs with." default:"ES256" enum:"RS256,ES256,ES384,ES512"`
}

// Run writes the bundle; bad policies are refused, and nothing is written.
func (c *policyBundleCommand) Run(_ context.Context, out io.Writer) error {
	options := policy.ArchiveOptions{Revision: c.Revision, Algorithm: c.Algorithm}
	if c.Key != "" {
		key, err := os.ReadFile(c.Key)
		if err != nil {
			return fmt.Errorf("read the signing key: %w", err)
		}
		options.SigningKey = key
	}
	var archive bytes.Buffer
	bundle, err := policy.WriteArchive(&archive, folder(c.Policies, policies.FS), options)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Output, archive.Bytes(), 0o644); err != nil { // policies are no secret
		return fmt.Errorf("write the policy bundle: %w", err)
	}
	fmt.Fprintf(out, "%s  %d rules  %s\n", filepath.Base(c.Output), len(bundle.Rules()), bundle.Digest())
	return nil
}
