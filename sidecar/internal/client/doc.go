// Package client speaks Roadbed's HTTP API: for the command line, for workers
// and their supervisors, and for tests.
//
// It holds no policy and no state but a connection: what the sidecar answers is
// returned as it is, its errors as *provision.Error with the same kind, findings
// and request id. A sidecar that cannot be reached is Unavailable.
package client
