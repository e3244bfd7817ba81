// Package testkit gives tests the real parts: a Postgres cluster of the test
// process with a fresh database per test, Postgres and NATS servers that a test
// may stop and start, and a tap that holds every published message against its
// description. Only tests import it.
//
// A package that uses Database or EmptyDatabase calls Main from its TestMain,
// so that the cluster ends with the process.
package testkit
