package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// maxName is NAMEDATALEN-1: the server cuts longer names off without an error.
const maxName = 63

// settingName is what ALTER DATABASE … SET accepts: a parameter, or one of an
// extension ("auto_explain.log_min_duration").
var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// listSettings are lists of names, which the server quotes one by one: what it
// stores is not the text that was given, so it could never be compared.
var listSettings = []string{
	"local_preload_libraries", "search_path", "session_preload_libraries",
	"shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
}

// checkFunc is a string validator that is a function and what it asks for.
type checkFunc struct {
	want  string
	check func(string) string // what is wrong, or ""
}

func (c checkFunc) Description(context.Context) string         { return c.want }
func (c checkFunc) MarkdownDescription(context.Context) string { return c.want }

func (c checkFunc) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if fault := c.check(req.ConfigValue.ValueString()); fault != "" {
		resp.Diagnostics.AddAttributeError(req.Path, "This value is not possible", fault)
	}
}

func aName() validator.String {
	return checkFunc{want: "a name of 1 to 63 bytes", check: func(name string) string {
		switch {
		case name == "" || len(name) > maxName:
			return fmt.Sprintf("%q has %d bytes; PostgreSQL names have 1 to %d.", name, len(name), maxName)
		case strings.ContainsRune(name, 0):
			return "A name cannot hold a zero byte."
		}
		return ""
	}}
}

func aText() validator.String {
	return checkFunc{want: "a text without zero bytes", check: func(text string) string {
		if strings.ContainsRune(text, 0) {
			return "PostgreSQL stores no zero bytes."
		}
		return ""
	}}
}

func aDelay() validator.String {
	return checkFunc{want: "a duration such as 30s", check: func(text string) string {
		if d, err := time.ParseDuration(text); err != nil || d < 0 {
			return fmt.Sprintf("%q is not a duration such as 30s.", text)
		}
		return ""
	}}
}

func aSettingName() validator.String {
	return checkFunc{want: "the name of a setting", check: func(name string) string {
		switch {
		case !settingName.MatchString(name):
			return fmt.Sprintf("%q is not the name of a setting such as work_mem.", name)
		case slices.Contains(listSettings, name):
			return fmt.Sprintf("%s is a list of names, which cannot be set per database here. Its owner can: ALTER DATABASE … SET %s TO ….", name, name)
		}
		return ""
	}}
}
