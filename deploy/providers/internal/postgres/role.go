package postgres

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type roleResource struct{ base }

type roleModel struct {
	Name            types.String `tfsdk:"name"`
	Login           types.Bool   `tfsdk:"login"`
	ConnectionLimit types.Int64  `tfsdk:"connection_limit"`
	MemberOf        types.Set    `tfsdk:"member_of"`
	ConnectTo       types.Set    `tfsdk:"connect_to"`
	Comment         types.String `tfsdk:"comment"`
	PasswordVersion types.Int64  `tfsdk:"password_version"`
	Password        types.String `tfsdk:"password"`
	CreateDelay     types.String `tfsdk:"create_delay"`
}

func (*roleResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_role"
}

func (*roleResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		Description: "A role, with a password that is generated here.",
		Attributes: map[string]schema.Attribute{
			"name": nameAttribute("Name of the role."),
			"login": schema.BoolAttribute{
				Description: "Whether it may log in. Default: true.",
				Optional:    true, Computed: true, Default: booldefault.StaticBool(true),
			},
			"connection_limit": schema.Int64Attribute{
				Description: "How many connections it may hold at once; -1 is any number. Default: -1.",
				Optional:    true, Computed: true, Default: int64default.StaticInt64(-1),
				Validators: []validator.Int64{int64validator.AtLeast(-1)},
			},
			"member_of": schema.SetAttribute{
				Description: "Roles whose rights it has, such as pg_monitor. Others are revoked. Default: none.",
				ElementType: types.StringType,
				Optional:    true, Computed: true,
				Default:    setdefault.StaticValue(types.SetValueMust(types.StringType, nil)),
				Validators: []validator.Set{setvalidator.ValueStringsAre(aName())},
			},
			"connect_to": schema.SetAttribute{
				Description: "Databases that it is granted CONNECT on; on others that is revoked. Left out: not looked after. Do not set it together with a database's allow_connect.",
				ElementType: types.StringType,
				Optional:    true,
				Validators:  []validator.Set{setvalidator.ValueStringsAre(aName())},
			},
			"comment": commentAttribute("role"),
			"password_version": schema.Int64Attribute{
				Description: "Any change of this number generates a new password. Default: 1.",
				Optional:    true, Computed: true, Default: int64default.StaticInt64(1),
			},
			"password": schema.StringAttribute{
				Description:   "The generated password: 32 letters, digits, hyphens and underscores. A change of it on the server is not noticed.",
				Computed:      true,
				Sensitive:     true,
				PlanModifiers: []planmodifier.String{keepUnlessRotated{}},
			},
			"create_delay": delayAttribute(),
		},
	}
}

// keepUnlessRotated plans a new password when password_version changes, and
// when the state has none, as after an import.
type keepUnlessRotated struct{}

func (keepUnlessRotated) Description(context.Context) string {
	return "stays until password_version changes"
}
func (k keepUnlessRotated) MarkdownDescription(ctx context.Context) string { return k.Description(ctx) }

func (keepUnlessRotated) PlanModifyString(ctx context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.State.Raw.IsNull() || req.StateValue.IsNull() {
		return
	}
	var was, will types.Int64
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("password_version"), &was)...)
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("password_version"), &will)...)
	if was.Equal(will) {
		resp.PlanValue = req.StateValue
	}
}

func (m roleModel) wish(ctx context.Context) roleWish {
	return roleWish{
		Name:            m.Name.ValueString(),
		Login:           m.Login.ValueBool(),
		ConnectionLimit: m.ConnectionLimit.ValueInt64(),
		Comment:         m.Comment.ValueString(),
		MemberOf:        texts(ctx, m.MemberOf),
		ConnectTo:       texts(ctx, m.ConnectTo),
	}
}

func (m *roleModel) take(facts *roleFacts) {
	m.Login = types.BoolValue(facts.Login)
	m.ConnectionLimit = types.Int64Value(facts.ConnectionLimit)
	m.MemberOf = textSet(facts.MemberOf)
	if !m.ConnectTo.IsNull() {
		m.ConnectTo = textSet(facts.ConnectTo)
	}
}

func (r *roleResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan roleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	want := plan.wish(ctx)
	want.Password = newPassword()
	err := wait(ctx, plan.CreateDelay.ValueString())
	if err == nil {
		err = r.server.withSession(ctx, func(ses *session) error { return createRole(ctx, ses, want) })
	}
	if err != nil {
		fail(&resp.Diagnostics, "create", "role", want.Name, err)
		return
	}
	plan.Password = types.StringValue(want.Password)
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (r *roleResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state roleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := state.Name.ValueString()
	facts, err := r.find(ctx, name)
	if err != nil {
		fail(&resp.Diagnostics, "read", "role", name, err)
		return
	}
	if facts == nil {
		resp.State.RemoveResource(ctx)
		return
	}
	if want := state.Comment.ValueString(); want != "" && facts.Comment != want {
		warnReplaced(&resp.Diagnostics, "Role", name, facts.Comment, want)
		resp.State.RemoveResource(ctx)
		return
	}
	state.take(facts)
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

func (r *roleResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state roleModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	want := plan.wish(ctx)
	if plan.Password.IsUnknown() {
		want.Password = newPassword()
		plan.Password = types.StringValue(want.Password)
	}
	err := r.server.withSession(ctx, func(ses *session) error {
		return updateRole(ctx, ses, want, state.Comment.ValueString())
	})
	if err != nil {
		fail(&resp.Diagnostics, "change", "role", want.Name, err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (r *roleResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state roleModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := state.Name.ValueString()
	err := r.server.withSession(ctx, func(ses *session) error {
		return patiently(func() error { return dropRole(ctx, ses, name, state.Comment.ValueString()) })
	})
	if err != nil {
		fail(&resp.Diagnostics, "drop", "role", name, err)
	}
}

// ImportState takes a role over by its name, whatever comment it carries. Its
// password cannot be read, so that the next apply sets a new one.
func (r *roleResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	facts, err := r.find(ctx, req.ID)
	if err != nil {
		fail(&resp.Diagnostics, "import", "role", req.ID, err)
		return
	}
	if facts == nil {
		resource.ImportStatePassthroughID(ctx, path.Root("name"), req, resp) // Read then says that there is none
		return
	}
	state := roleModel{Name: types.StringValue(req.ID), Comment: textOrNull(facts.Comment), ConnectTo: types.SetNull(types.StringType)}
	if len(facts.ConnectTo) > 0 {
		state.ConnectTo = textSet(facts.ConnectTo)
	}
	state.take(facts)
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

func (r *roleResource) find(ctx context.Context, name string) (facts *roleFacts, err error) {
	err = r.server.withSession(ctx, func(ses *session) error {
		facts, err = findRole(ctx, ses, name)
		return err
	})
	return facts, err
}
