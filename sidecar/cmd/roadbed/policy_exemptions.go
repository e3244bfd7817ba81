package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type policyExemptionsCommand struct {
	policyFiles
	JSON bool `name:"json" help:"Print what the API answers."`
}

// Run lists every exemption, those that count first.
func (c *policyExemptionsCommand) Run(out io.Writer) error {
	bundle, err := policy.Load(folder(c.Policies, policies.FS))
	if err != nil {
		return err
	}
	all, err := bundle.Exemptions(time.Now())
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, map[string]any{"items": append([]provision.Exemption{}, all...)})
	}
	return listing[provision.Exemption]{
		none:  "Nobody is exempt from anything.",
		heads: "RULE\tSTATE\tFROM\tUNTIL\tFOR\tGRANTED BY\tREASON",
		row: func(e provision.Exemption) []any {
			return []any{e.Rule, e.State, e.From, e.Until, exemptText(e), e.GrantedBy, e.Reason}
		},
	}.print(out, all, false)
}

// exemptText is what an exemption is for: "payments, dev".
func exemptText(e provision.Exemption) string {
	var named []string
	for _, text := range []string{shortOwner(e.Owner), e.Offering, e.Environment, e.Name} {
		if text != "" {
			named = append(named, text)
		}
	}
	return strings.Join(named, ", ")
}

// warnExpired names the exemptions that no longer count. They are no fault: a
// build must not break because a day has come.
func warnExpired(out io.Writer, bundle *policy.Bundle, now time.Time) error {
	all, err := bundle.Exemptions(now)
	for _, e := range all {
		if e.State == provision.ExemptionExpired {
			fmt.Fprintf(out, "warning: data/exemptions.yaml: the exemption of %s from %s ended on %s; remove it\n", exemptText(e), e.Rule, e.Until)
		}
	}
	return err
}
