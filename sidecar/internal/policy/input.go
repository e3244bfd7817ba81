package policy

import (
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// ruleInput is the value that input's JSON stands for, built without writing
// and reading that JSON, which would add a seventh to a judgement's allocations.
func ruleInput(in provision.RuleInput) (ast.Value, error) {
	value := map[string]any{
		"stage":    string(in.Stage),
		"action":   string(in.Action),
		"subject":  map[string]any{"ref": in.Subject.Ref, "groups": texts(in.Subject.Groups)},
		"offering": offering(in.Offering),
		"environment": map[string]any{
			"name": in.Environment.Name, "title": in.Environment.Title,
			"implementation": in.Environment.Implementation, "pool": in.Environment.Pool,
			"account": in.Environment.Account, "region": in.Environment.Region,
			"settings": object(in.Environment.Settings),
		},
		"name":        in.Name,
		"confirm":     in.Confirm,
		"owner":       in.Owner,
		"cost_center": in.CostCenter,
		"parameters":  object(in.Parameters),
		"before":      object(in.Before),
		"price":       priceInput(in.Price),
		"balances":    balances(in.Balances),
		"changes":     changes(in.Changes),
		"at":          in.At.Format(time.RFC3339Nano),
	}
	if in.Was != nil {
		value["was"] = map[string]any{
			"version": in.Was.Version, "owner": in.Was.Owner, "cost_center": in.Was.CostCenter,
			"price": priceInput(in.Was.Price), "lifetime_seconds": in.Was.LifetimeSeconds,
		}
	}
	if len(in.ImportMakes) > 0 {
		value["import_makes"] = in.ImportMakes
	}
	if len(in.Dependants) > 0 {
		value["dependants"] = dependants(in.Dependants)
	}
	if in.Rollout != nil {
		value["rollout"] = map[string]any{
			"campaign": in.Rollout.Campaign, "approved": in.Rollout.Approved, "planned": in.Rollout.Planned, "title": in.Rollout.Title,
		}
	}
	if len(in.Drifted) > 0 {
		value["drifted"] = in.Drifted
	}
	if in.LifetimeSeconds > 0 {
		value["lifetime_seconds"] = in.LifetimeSeconds
	}
	if in.LifetimeBeforeSeconds > 0 {
		value["lifetime_before_seconds"] = in.LifetimeBeforeSeconds
	}
	return ast.InterfaceToValue(value)
}

// texts is a JSON array; a nil one is null.
func texts(values []string) any {
	if values == nil {
		return nil
	}
	return values
}

// object is a JSON object; a nil one is null.
func object[M ~map[string]V, V any](values M) any {
	if values == nil {
		return nil
	}
	entries := make(map[string]any, len(values))
	for name, value := range values {
		entries[name] = value
	}
	return entries
}

func priceInput(p provision.RulePrice) map[string]any {
	var form any
	if p.FormMills != nil {
		form = int64(*p.FormMills)
	}
	var unpriced any
	if p.Unpriced != nil {
		entries := make([]any, len(p.Unpriced))
		for i, resource := range p.Unpriced {
			entries[i] = map[string]any{"address": resource.Address, "type": resource.Type}
		}
		unpriced = entries
	}
	return map[string]any{
		"known": p.Known, "monthly_mills": int64(p.MonthlyMills), "reason": p.Reason, "item_mills": object(p.Items),
		"form_mills": form, "unpriced": unpriced, "charge_mills": int64(p.ChargeMills),
	}
}

func offering(o provision.RuleOffering) map[string]any {
	entries := map[string]any{"id": o.ID, "version": o.Version, "category": o.Category}
	if o.State != "" {
		entries["state"] = string(o.State)
	}
	if len(o.Titles) > 0 {
		entries["titles"] = object(o.Titles)
	}
	return entries
}

func balances(list []provision.RuleBalance) any {
	if list == nil {
		return nil
	}
	entries := make([]any, len(list))
	for i, b := range list {
		entries[i] = map[string]any{"kind": string(b.Kind), "name": b.Name, "spent_mills": b.SpentMills, "held_mills": b.HeldMills}
	}
	return entries
}

func dependants(list []provision.Dependant) any {
	entries := make([]any, len(list))
	for i, d := range list {
		entries[i] = map[string]any{
			"instance_id": d.InstanceID.String(), "entity_ref": d.EntityRef, "name": d.Name, "offering": d.Offering,
			"owner": d.Owner, "parameter": d.Parameter, "output": d.Output,
		}
	}
	return entries
}

func changes(list []provision.Change) any {
	if list == nil {
		return nil
	}
	entries := make([]any, len(list))
	for i, change := range list {
		entry := map[string]any{"address": change.Address, "type": change.Type, "action": change.Action}
		if len(change.Before) > 0 {
			entry["before"] = change.Before
		}
		if len(change.After) > 0 {
			entry["after"] = change.After
		}
		if len(change.Sources) > 0 {
			entry["sources"] = object(change.Sources)
		}
		if len(change.Replaces) > 0 {
			entry["replaces"] = change.Replaces
		}
		if change.Imported {
			entry["imported"] = true
		}
		if len(change.Unknown) > 0 {
			entry["unknown"] = change.Unknown
		}
		entries[i] = entry
	}
	return entries
}
