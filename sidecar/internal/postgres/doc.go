// Package postgres keeps the truth: it implements provision.Store, and the few
// queries that the loops of package control need, with pgx on Postgres 14 or
// newer. It decides nothing: what a move means is provision's, and this package
// knows no queue and no HTTP.
//
// # How it writes
//
// Accept is one pipelined batch, which Postgres runs as one transaction: one
// round trip. Change reads its rows under a lock in one round trip, lets the
// domain decide, and writes and commits in a second. An event is written in the
// transaction of the fact it tells, together with its outbox row, and only a
// committed event leaves the process. NOTIFY is never used: it would make
// commits queue behind each other.
//
// # Whose clock
//
// The database's. Accept uses the transaction's start; Change uses the time
// after its locks were granted, so that the times of one request never go back.
//
// # Reading changes
//
// Changes follows instances by the transaction that wrote them last. Rows of a
// transaction are shown only when every older one has ended, so that a reader
// who keeps the cursor misses nothing that is committed late.
package postgres
