package main

import (
	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/worker"
)

// keptStore is the store as the service and the loops see it.
type keptStore interface {
	provision.Store
	control.Store
}

// seams are where a test stands between the parts that the commands wire, to
// end the process at a boundary. Outside of tests each is nothing.
var seams = struct {
	store    func(keptStore) keptStore
	queue    func(control.Queue) control.Queue
	control  func(worker.Control) worker.Control
	lifeline func(worker.Lifeline) worker.Lifeline
	jobs     func(worker.Jobs) worker.Jobs
	reports  func(worker.Reports) worker.Reports
	reader   func(httpapi.Reader) httpapi.Reader
}{nothing[keptStore], nothing[control.Queue], nothing[worker.Control], nothing[worker.Lifeline], nothing[worker.Jobs], nothing[worker.Reports], nothing[httpapi.Reader]}

func nothing[T any](part T) T { return part }
