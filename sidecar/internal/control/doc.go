// Package control moves requests: the relay publishes committed events, the
// dispatcher gives queued requests a run and offers its job, the recorder takes
// what workers report, and the sweep does whatever is due and whatever was lost.
//
// Postgres is the truth and every loop finds its work there: what is committed
// in this process only wakes a loop early, and a lost message, a crash between
// commit and publish or a second replica changes nothing but the time it takes.
// A dependency that is down makes a loop wait; none ends before its context
// does.
//
// It knows no SQL and no NATS: Store and Queue are what it needs of them. What
// a move means is decided by provision.Record alone.
package control
