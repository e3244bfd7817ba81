// Package queue speaks NATS JetStream: jobs to workers, their reports and log
// lines back, and events to the world. sidecar/api/asyncapi.yaml describes every
// message.
//
// It carries and never decides. NATS may repeat, delay or lose whatever is in
// it: a job counts by its claim, a report by its fencing token and sequence, an
// event by its id, and a sweep publishes again from the database. So the package
// must not know the database, and no caller may take a delivery for a right.
//
// While NATS is away every publish answers Unavailable within seconds and every
// consumer waits; both go on by themselves once it is back, on an empty disk too.
package queue
