package terraform

import (
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// changesOf is a plan's normalised change set. A value that Terraform calls
// sensitive is left out (in a list null stands for it, so that its neighbours
// keep their places); what r knows as secret is masked wherever it stands,
// because a module may have lost the mark on its way. What r knows must be
// nothing that a requester chose: else they could hide from the rules what the
// rules are there to see.
func changesOf(plan *tfjson.Plan, r *Redactor) []provision.Change {
	changes := make([]provision.Change, 0, len(plan.ResourceChanges))
	for _, resource := range plan.ResourceChanges {
		if resource.Change == nil {
			continue
		}
		changes = append(changes, provision.Change{
			Address: resource.Address, Type: resource.Type, Action: actionOf(resource.Change.Actions),
			Before:   shown(resource.Change.Before, resource.Change.BeforeSensitive, r),
			After:    shown(resource.Change.After, resource.Change.AfterSensitive, r),
			Imported: resource.Change.Importing != nil, Replaces: replacing(resource.Change.ReplacePaths), Unknown: unknown(resource.Change.AfterUnknown),
		})
	}
	return changes
}

// replacing are the attributes whose change makes a resource be replaced, sorted
// and without indexes; nil when none does.
func replacing(paths []any) (attributes []string) {
	for _, path := range paths {
		steps, _ := path.([]any)
		var names []string
		for _, step := range steps {
			if name, ok := step.(string); ok {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			attributes = append(attributes, strings.Join(names, "."))
		}
	}
	slices.Sort(attributes)
	return slices.Compact(attributes)
}

// unknown are the outermost attributes of which something is not known before
// apply, sorted; nil when all are known.
func unknown(mask any) (attributes []string) {
	members, _ := mask.(map[string]any)
	for name, member := range members {
		if anyTrue(member) {
			attributes = append(attributes, name)
		}
	}
	slices.Sort(attributes)
	return attributes
}

func anyTrue(mask any) bool {
	switch m := mask.(type) {
	case bool:
		return m
	case map[string]any:
		for _, member := range m {
			if anyTrue(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(m, anyTrue)
	}
	return false
}

// actionOf names what happens. To forget an object counts as a delete: whoever
// guards against losing things must see it.
func actionOf(actions tfjson.Actions) string {
	switch {
	case actions.Replace():
		return "replace"
	case actions.Create():
		return "create"
	case actions.Update():
		return "update"
	case actions.Delete(), actions.Forget():
		return "delete"
	case actions.Read():
		return "read"
	case actions.NoOp():
		return "no-op"
	default:
		// An action of a Terraform newer than this code, such as create and
		// forget, loses something too.
		return "replace"
	}
}

func shown(value, sensitive any, r *Redactor) map[string]any {
	open, ok := split(value, sensitive, nil)
	if !ok {
		return nil
	}
	members, ok := r.Value(open).(map[string]any)
	if !ok {
		return nil
	}
	return members
}

// sensitiveValues are all values that the plan calls sensitive.
func sensitiveValues(plan *tfjson.Plan) (secrets []any) {
	keep := func(value any) { secrets = append(secrets, value) }
	hide := func(c *tfjson.Change) {
		if c != nil {
			split(c.Before, c.BeforeSensitive, keep)
			split(c.After, c.AfterSensitive, keep)
		}
	}
	for _, list := range [][]*tfjson.ResourceChange{plan.ResourceChanges, plan.ResourceDrift} {
		for _, resource := range list {
			hide(resource.Change)
		}
	}
	for _, out := range plan.OutputChanges {
		hide(out)
	}
	if plan.Config != nil && plan.Config.RootModule != nil {
		for name, variable := range plan.Config.RootModule.Variables {
			if given := plan.Variables[name]; variable.Sensitive && given != nil {
				keep(given.Value)
			}
		}
	}
	return secrets
}

// split takes the sensitive parts out of value and hands them to secret, which
// may be nil. mask is Terraform's: true for a value that is sensitive, or a map
// or list with a mask for each member that is or has something sensitive. ok is
// false when nothing is left.
func split(value, mask any, secret func(any)) (open any, ok bool) {
	if sensitive, is := mask.(bool); is && sensitive {
		if secret != nil {
			secret(value)
		}
		return nil, false
	}
	switch v := value.(type) {
	case map[string]any:
		masks, _ := mask.(map[string]any)
		kept := make(map[string]any, len(v))
		for name, member := range v {
			if inner, ok := split(member, masks[name], secret); ok {
				kept[name] = inner
			}
		}
		return kept, true
	case []any:
		masks, _ := mask.([]any)
		kept := make([]any, len(v))
		for i, member := range v {
			var inner any
			if i < len(masks) {
				inner = masks[i]
			}
			kept[i], _ = split(member, inner, secret)
		}
		return kept, true
	}
	return value, true
}
