// Package policies carries the Rego bundle: guardrails, holds, authorisation and the
// data that they read. It holds data only; the sidecar's policy package gives
// it meaning.
package policies

import "embed"

// FS is the bundle as built in, its tests included.
//
//go:embed authz data decision guardrails holds lib plan
var FS embed.FS
