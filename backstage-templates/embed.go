// Package templates carries the offerings as built in: a folder each, and the
// Location that lists their forms. It holds data only; the sidecar's offering
// package gives it meaning. A new offering is a new folder and no Go.
package templates

import "embed"

// FS is the tree of offerings. Hidden files are in it because the locks of the
// providers are hidden.
//
//go:embed all:*
var FS embed.FS
