package postgres

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type databaseResource struct{ base }

type databaseModel struct {
	Name            types.String `tfsdk:"name"`
	Owner           types.String `tfsdk:"owner"`
	ConnectionLimit types.Int64  `tfsdk:"connection_limit"`
	Settings        types.Map    `tfsdk:"settings"`
	AllowConnect    types.Set    `tfsdk:"allow_connect"`
	Comment         types.String `tfsdk:"comment"`
	Host            types.String `tfsdk:"host"`
	Port            types.Int64  `tfsdk:"port"`
	FinalSnapshot   types.String `tfsdk:"final_snapshot"`
	CreateDelay     types.String `tfsdk:"create_delay"`
}

func (*databaseResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_database"
}

func (*databaseResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		Description: "A database that only its owner, and whom it names, may connect to.",
		Attributes: map[string]schema.Attribute{
			"name": nameAttribute("Name of the database."),
			"owner": schema.StringAttribute{
				Description: "Role that owns it.",
				Required:    true,
				Validators:  []validator.String{aName()},
			},
			"connection_limit": schema.Int64Attribute{
				Description: "How many connections it takes at once; -1 is any number. Default: -1.",
				Optional:    true, Computed: true, Default: int64default.StaticInt64(-1),
				Validators: []validator.Int64{int64validator.AtLeast(-1)},
			},
			"settings": schema.MapAttribute{
				Description: "Settings that sessions in it start with, such as work_mem and statement_timeout. Others are reset. Values are tried on the server at plan time. Default: none.",
				ElementType: types.StringType,
				Optional:    true, Computed: true,
				Default: mapdefault.StaticValue(types.MapValueMust(types.StringType, nil)),
				Validators: []validator.Map{
					mapvalidator.KeysAre(aSettingName()),
					mapvalidator.ValueStringsAre(aText()),
				},
			},
			"allow_connect": schema.SetAttribute{
				Description: `Roles that may connect, besides the owner; others may not. "public" is every role. Left out: every role's right is revoked, and rights of single roles are not looked after.`,
				ElementType: types.StringType,
				Optional:    true,
				Validators:  []validator.Set{setvalidator.ValueStringsAre(aName())},
			},
			"comment": commentAttribute("database"),
			"host": schema.StringAttribute{
				Description:   "Host, or directory of the socket, at which the provider reaches the server.",
				Computed:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"port": schema.Int64Attribute{
				Description:   "Port at which the provider reaches the server.",
				Computed:      true,
				PlanModifiers: []planmodifier.Int64{int64planmodifier.UseStateForUnknown()},
			},
			"final_snapshot": schema.StringAttribute{
				Description: "File that pg_dump, found on PATH, writes all that it holds to before it is dropped, in its custom format; pg_restore reads it. Without it nothing is kept. It counts once it has been applied.",
				Optional:    true,
				Validators:  []validator.String{aText()},
			},
			"create_delay": delayAttribute(),
		},
	}
}

func (m databaseModel) wish(ctx context.Context) databaseWish {
	settings := map[string]string{}
	m.Settings.ElementsAs(ctx, &settings, false)
	return databaseWish{
		Name:            m.Name.ValueString(),
		Owner:           m.Owner.ValueString(),
		ConnectionLimit: m.ConnectionLimit.ValueInt64(),
		Comment:         m.Comment.ValueString(),
		AllowConnect:    texts(ctx, m.AllowConnect),
		Settings:        settings,
	}
}

func (m *databaseModel) take(facts *databaseFacts, s *server) {
	m.Owner = types.StringValue(facts.Owner)
	m.ConnectionLimit = types.Int64Value(facts.ConnectionLimit)
	settings := map[string]attr.Value{}
	for name, value := range facts.settings() {
		settings[name] = types.StringValue(value)
	}
	m.Settings = types.MapValueMust(types.StringType, settings)
	if !m.AllowConnect.IsNull() {
		m.AllowConnect = textSet(facts.AllowConnect)
	} else if len(missing([]string{everyone}, facts.AllowConnect)) == 0 {
		m.AllowConnect = textSet([]string{everyone}) // drift, which the plan then takes back
	}
	m.locate(s)
}

func (m *databaseModel) locate(s *server) {
	m.Host = types.StringValue(s.config.Host)
	m.Port = types.Int64Value(int64(s.config.Port))
}

// ModifyPlan tries new settings on the server, so that a value that it would
// refuse is found before anything is changed.
func (r *databaseResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.server == nil {
		return
	}
	var planned, present types.Map
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("settings"), &planned)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("settings"), &present)...)
	}
	settings := map[string]string{}
	for name, value := range planned.Elements() {
		text, ok := value.(types.String)
		if ok && !text.IsUnknown() && !text.IsNull() && !text.Equal(present.Elements()[name]) {
			settings[name] = text.ValueString()
		}
	}
	if len(settings) == 0 || resp.Diagnostics.HasError() {
		return
	}
	err := r.server.withSession(ctx, func(ses *session) error {
		faults, err := checkSettings(ctx, ses, settings)
		for name, fault := range faults {
			resp.Diagnostics.AddAttributeError(path.Root("settings").AtMapKey(name), "The server refuses this setting", fault)
		}
		return err
	})
	if err != nil {
		resp.Diagnostics.AddError("Could not check the settings", explain(err))
	}
}

func (r *databaseResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan databaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	want := plan.wish(ctx)
	err := wait(ctx, plan.CreateDelay.ValueString())
	if err == nil {
		err = r.server.withSession(ctx, func(ses *session) error { return createDatabase(ctx, ses, want) })
		if err != nil {
			r.server.tidy(ctx, want)
		}
	}
	if err != nil {
		fail(&resp.Diagnostics, "create", "database", want.Name, err)
		return
	}
	plan.locate(r.server)
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (r *databaseResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state databaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := state.Name.ValueString()
	facts, err := r.find(ctx, name)
	if err != nil {
		fail(&resp.Diagnostics, "read", "database", name, err)
		return
	}
	if facts == nil {
		resp.State.RemoveResource(ctx)
		return
	}
	if want := state.Comment.ValueString(); want != "" && facts.Comment != want {
		warnReplaced(&resp.Diagnostics, "Database", name, facts.Comment, want)
		resp.State.RemoveResource(ctx)
		return
	}
	state.take(facts, r.server)
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

func (r *databaseResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state databaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	want := plan.wish(ctx)
	err := r.server.withSession(ctx, func(ses *session) error {
		return updateDatabase(ctx, ses, want, state.Comment.ValueString())
	})
	if err != nil {
		fail(&resp.Diagnostics, "change", "database", want.Name, err)
		return
	}
	plan.locate(r.server)
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (r *databaseResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state databaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := state.Name.ValueString()
	err := r.server.withSession(ctx, func(ses *session) error {
		return patiently(func() error {
			return dropDatabase(ctx, ses, name, state.Comment.ValueString(), func() error {
				return r.server.snapshot(ctx, name, state.FinalSnapshot.ValueString())
			})
		})
	})
	if err != nil {
		fail(&resp.Diagnostics, "drop", "database", name, err)
	}
}

// ImportState takes a database over by its name, whatever comment it carries.
func (r *databaseResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	facts, err := r.find(ctx, req.ID)
	if err != nil {
		fail(&resp.Diagnostics, "import", "database", req.ID, err)
		return
	}
	if facts == nil {
		resource.ImportStatePassthroughID(ctx, path.Root("name"), req, resp) // Read then says that there is none
		return
	}
	state := databaseModel{Name: types.StringValue(req.ID), Comment: textOrNull(facts.Comment), AllowConnect: types.SetNull(types.StringType)}
	if len(facts.AllowConnect) > 0 {
		state.AllowConnect = textSet(facts.AllowConnect)
	}
	state.take(facts, r.server)
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

func (r *databaseResource) find(ctx context.Context, name string) (facts *databaseFacts, err error) {
	err = r.server.withSession(ctx, func(ses *session) error {
		facts, err = findDatabase(ctx, ses, name)
		return err
	})
	return facts, err
}
