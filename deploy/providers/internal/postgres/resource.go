package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// base is what both resources have in common: the server, which is nil while
// Terraform only validates.
type base struct{ server *server }

func (b *base) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	if req.ProviderData == nil {
		return
	}
	s, ok := req.ProviderData.(*server)
	if !ok {
		resp.Diagnostics.AddError("The provider is wired wrongly", fmt.Sprintf("Its data is a %T.", req.ProviderData))
		return
	}
	b.server = s
}

func nameAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Description:   description + " Up to 63 bytes; another name makes another object.",
		Required:      true,
		Validators:    []validator.String{aName()},
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

func commentAttribute(kind string) schema.StringAttribute {
	return schema.StringAttribute{
		Description: "The comment that marks the " + kind + " as ours, such as roadbed:<instance id>. If a " + kind + " of this name exists and carries it, it is taken up; if it carries another or none, creation is refused, and a refresh counts ours as gone.",
		Optional:    true,
		Validators:  []validator.String{aText()},
	}
}

func delayAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Description: "Waits this long before creating, such as 30s: for testing slow creation.",
		Optional:    true,
		Validators:  []validator.String{aDelay()},
	}
}

// fail reports an error of doing (create, change, …) to the object.
func fail(diags *diag.Diagnostics, doing, kind, name string, err error) {
	var foreign *foreignError
	if errors.As(err, &foreign) {
		diags.AddError(fmt.Sprintf("%s %q already exists", foreign.kind, foreign.name), foreign.Error())
		return
	}
	diags.AddError(fmt.Sprintf("Could not %s the %s %q", doing, kind, name), explain(err))
}

// warnReplaced says that a refresh takes an object for gone because another
// one has its name.
func warnReplaced(diags *diag.Diagnostics, kind, name, found, want string) {
	diags.AddWarning(fmt.Sprintf("%s %q is no longer ours", kind, name),
		fmt.Sprintf("Its comment is %q where ours has %q, so it counts as someone else's and ours as gone. If it is ours, give it its comment back.", found, want))
}

// texts returns a set's elements, sorted; nil if the set is null or unknown.
func texts(ctx context.Context, set types.Set) []string {
	if set.IsNull() || set.IsUnknown() {
		return nil
	}
	list := []string{}
	set.ElementsAs(ctx, &list, false)
	slices.Sort(list)
	return list
}

func textSet(list []string) types.Set {
	values := make([]attr.Value, len(list))
	for i, text := range list {
		values[i] = types.StringValue(text)
	}
	return types.SetValueMust(types.StringType, values)
}

func textOrNull(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}
