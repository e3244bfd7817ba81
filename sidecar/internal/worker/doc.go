// Package worker does jobs: it claims a run, plans it, asks whether to go on,
// applies, reports, and recovers whatever a killed process left behind. It holds
// the cloud credentials and judges nothing.
//
// # Processes
//
//	worker ── terraform-exec ── shim ─ ─ ─ ─ supervisor ── Terraform
//	            (exec path is a link       (own session)   (own session,
//	             to our own binary)                         stdout is a file)
//
// Terraform-exec ties Terraform's life to its parent's. So the path that it
// executes is a link to this very binary in the run's directory: for `apply` it
// starts a supervisor that outlives it, shows what Terraform says, and ends with
// Terraform's exit code. Any of the three upper processes may be killed; the next
// one finds Terraform again by its process id and start time, which Terraform's
// own process has put on disk, once and for all, before it became Terraform. So
// one run never applies twice.
//
// A supervisor that finds Terraform already running is not its parent and cannot
// learn its exit code. It infers it from what Terraform has said: the closing
// summary of an apply, without a diagnostic of severity error, is success; an
// error is failure; neither means that Terraform was killed, and the outcome says
// which resources the journal names as begun and not completed.
//
// # What is on disk
//
// A run's directory (0700) holds its record, its token, variables, state, what
// Terraform said, the journal, and every report and log line before it is sent.
// It is wiped once the sidecar says that the run has ended.
//
// The package must not know how the sidecar or NATS are reached: Control, Jobs
// and Reports are the interfaces that it needs.
package worker
