// Package api holds the contract of the HTTP API: openapi.yaml, embedded, and
// the Go types generated from it. It is data only: it opens no connection and
// decides nothing. Regenerate with `go generate ./sidecar/api`.
package api

import _ "embed"

//go:generate go tool oapi-codegen --config oapi-codegen.yaml openapi.yaml

// OpenAPI is openapi.yaml as written. Do not change its bytes.
//
//go:embed openapi.yaml
var OpenAPI []byte
