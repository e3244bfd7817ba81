// Package httpapi is Roadbed's HTTP door: it reads requests, calls the service
// and writes answers as sidecar/api/openapi.yaml describes them.
//
// It decides nothing about infrastructure, prices or access, and knows no
// database: what it needs of others it declares as small interfaces. A handler
// parses, calls and answers; handle, in errors.go, is the only place where an
// error becomes a response.
package httpapi
