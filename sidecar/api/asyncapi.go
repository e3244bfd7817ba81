package api

import _ "embed"

// AsyncAPI is asyncapi.yaml as written: every message on NATS. Do not change
// its bytes.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte
