// Package environments carries the environment files that `roadbed` uses when
// no other folder is given.
package environments

import "embed"

// FS has one <name>.yaml for each environment.
//
//go:embed *.yaml
var FS embed.FS
