// Package postgres is a Terraform provider for roles and databases on a
// PostgreSQL server (15 or newer).
//
// Two things set it apart. It generates passwords itself, so that a module
// needs no second provider for them. And it tells its own objects from other
// people's by a comment: what carries the expected comment is taken up again
// (an apply that died halfway can be repeated), what does not is never touched.
//
// It knows nothing of Roadbed: no requests, no instances, no policy.
package postgres

import (
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Address is the source address under which modules require this provider.
const Address = "registry.terraform.io/roadbed/postgres"

// DSNVariable is the environment variable that holds the connection string
// when the provider block sets none. A connection string in the environment
// stays out of modules, plans and state.
const DSNVariable = "ROADBED_POSTGRES_DSN"

type postgresProvider struct{ version string }

// New returns the constructor that the plugin server calls, once or more.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &postgresProvider{version: version} }
}

func (p *postgresProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "postgres", p.version
}

func (p *postgresProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		Description: "Roles and databases on a PostgreSQL server, version 15 or newer.",
		Attributes: map[string]schema.Attribute{
			"dsn": schema.StringAttribute{
				Description: "Connection string of a superuser. Default: the environment variable " + DSNVariable + ".",
				Optional:    true,
				Sensitive:   true,
			},
		},
	}
}

func (p *postgresProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var dsn types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("dsn"), &dsn)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if dsn.IsUnknown() {
		resp.Diagnostics.AddAttributeError(path.Root("dsn"), "The connection string is not known yet",
			"It depends on something that is made in the same run. Make that first, or set "+DSNVariable+".")
		return
	}
	text := dsn.ValueString()
	if text == "" {
		text = os.Getenv(DSNVariable)
	}
	if text == "" {
		resp.Diagnostics.AddError("No PostgreSQL server is configured",
			"Set the environment variable "+DSNVariable+" to a connection string such as postgres://user:password@host:5432/postgres.")
		return
	}
	server, err := newServer(text)
	if err != nil {
		resp.Diagnostics.AddError("The PostgreSQL connection string is not valid", err.Error())
		return
	}
	resp.ResourceData, resp.DataSourceData = server, server
}

func (p *postgresProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &roleResource{} },
		func() resource.Resource { return &databaseResource{} },
	}
}

func (p *postgresProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &serverDataSource{} },
	}
}
