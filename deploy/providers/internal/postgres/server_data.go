package postgres

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/jackc/pgx/v5"
)

// serverDataSource tells what a module must know of the server before it plans.
type serverDataSource struct{ server *server }

type serverModel struct {
	Version          types.String `tfsdk:"version"`
	DatabaseSettings types.Set    `tfsdk:"database_settings"`
	OpenDatabases    types.Set    `tfsdk:"open_databases"`
}

func (*serverDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_server"
}

func (*serverDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		Description: "The PostgreSQL server that the provider is configured for.",
		Attributes: map[string]schema.Attribute{
			"version": schema.StringAttribute{
				Description: "Its version, such as 15.18.",
				Computed:    true,
			},
			"database_settings": schema.SetAttribute{
				Description: "Settings that an owner may give a database, such as work_mem. Those that need a superuser, a restart or a list of names are not among them.",
				ElementType: types.StringType,
				Computed:    true,
			},
			"open_databases": schema.SetAttribute{
				Description: "Databases that every role may connect to. A role with pg_read_all_data can read these too.",
				ElementType: types.StringType,
				Computed:    true,
			},
		},
	}
}

func (d *serverDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	if req.ProviderData == nil {
		return
	}
	s, ok := req.ProviderData.(*server)
	if !ok {
		resp.Diagnostics.AddError("The provider is wired wrongly", fmt.Sprintf("Its data is a %T.", req.ProviderData))
		return
	}
	d.server = s
}

func (d *serverDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	var facts struct {
		Version          string
		DatabaseSettings []string
		OpenDatabases    []string
	}
	err := d.server.withSession(ctx, func(ses *session) error {
		return ses.QueryRow(ctx, `
			SELECT current_setting('server_version'),
			       ARRAY(SELECT name::text FROM pg_settings
			              WHERE context = 'user' AND NOT name = ANY(@lists)
			                AND NOT starts_with(name, 'transaction_') -- of one transaction, not of a session
			              ORDER BY 1),
			       ARRAY(SELECT d.datname::text FROM pg_database d
			              WHERE d.datallowconn AND NOT d.datistemplate
			                AND EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
			                             WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
			              ORDER BY 1)`, pgx.NamedArgs{"lists": listSettings}).
			Scan(&facts.Version, &facts.DatabaseSettings, &facts.OpenDatabases)
	})
	if err != nil {
		resp.Diagnostics.AddError("Could not read the server's settings", explain(err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &serverModel{
		Version:          types.StringValue(facts.Version),
		DatabaseSettings: textSet(facts.DatabaseSettings),
		OpenDatabases:    textSet(facts.OpenDatabases),
	})...)
}
