package queue

import "strings"

// Permissions are the subjects that one user of NATS may use, as the server's
// configuration names them.
type Permissions struct {
	Publish, Subscribe []string
}

// SidecarPermissions are all that the sidecar needs: it makes the streams and
// consumers, offers jobs, tells events, and reads reports, log lines and events.
// It removes nothing, and hears only what is sent to itself.
func SidecarPermissions() Permissions {
	p := Permissions{
		Publish:   []string{"roadbed.job.v1.*.*", "roadbed.evt.v1.>", "$JS.API.STREAM.MSG.GET." + eventsStream},
		Subscribe: []string{SidecarInbox + ".>"},
	}
	for _, stream := range []string{jobsStream, reportsStream, logsStream, eventsStream} {
		p.Publish = append(p.Publish, "$JS.API.STREAM.INFO."+stream, "$JS.API.STREAM.CREATE."+stream, "$JS.API.STREAM.UPDATE."+stream,
			"$JS.API.CONSUMER.CREATE."+stream+".>")
	}
	for _, stream := range []string{reportsStream, logsStream} {
		p.Publish = append(p.Publish, "$JS.API.CONSUMER.MSG.NEXT."+stream+"."+recorder, "$JS.ACK."+stream+"."+recorder+".>")
	}
	p.Publish = append(p.Publish, "$JS.API.CONSUMER.MSG.NEXT."+eventsStream+".>")
	return p
}

// sidecarSubjects are subjects that SidecarPermissions let a sidecar publish to,
// one of each kind and pool, to try them.
func sidecarSubjects(pools []string) []string {
	subjects := []string{"roadbed.evt.v1.doctor.checked.none.none"}
	for _, pool := range pools {
		subjects = append(subjects, "roadbed.job.v1."+pool+".normal", "$JS.API.CONSUMER.CREATE."+jobsStream+"."+consumerOf(pool)+".roadbed.job.v1."+pool+".*")
	}
	for _, subject := range SidecarPermissions().Publish {
		switch subject {
		case "roadbed.job.v1.*.*", "roadbed.evt.v1.>", "$JS.API.CONSUMER.CREATE." + jobsStream + ".>": // tried above
		case "$JS.API.CONSUMER.CREATE." + reportsStream + ".>", "$JS.API.CONSUMER.CREATE." + logsStream + ".>":
			subjects = append(subjects, strings.TrimSuffix(subject, ">")+recorder)
		default:
			subjects = append(subjects, strings.Replace(subject, ">", "doctor", 1))
		}
	}
	return subjects
}

// WorkerPermissions are all that a worker needs: it fetches its pool's jobs and
// answers for them, speaks of its own runs, and hears what is sent to itself. It
// makes no stream and no consumer, and reads no report, log line or event.
// Invalid when a name cannot be a part of a subject.
func WorkerPermissions(pool, worker string) (Permissions, error) {
	pool, err := token("pool", pool)
	if err != nil {
		return Permissions{}, err
	}
	if worker, err = token("worker", worker); err != nil {
		return Permissions{}, err
	}
	consumer := jobsStream + "." + consumerOf(pool)
	return Permissions{
		Publish: []string{
			"roadbed.rpt.v1." + pool + "." + worker + ".*",
			"roadbed.log.v1." + pool + "." + worker + ".*",
			"$JS.API.CONSUMER.INFO." + consumer,
			"$JS.API.CONSUMER.MSG.NEXT." + consumer,
			"$JS.ACK." + consumer + ".>",
		},
		Subscribe: []string{WorkerInbox(pool, worker) + ".>"},
	}, nil
}

// SidecarInbox is where the sidecar has its answers sent.
const SidecarInbox = "_INBOX"

// WorkerInbox is where a worker has its answers sent: another worker that could
// listen to them would see its jobs.
func WorkerInbox(pool, worker string) string {
	return "_INBOX_worker." + pool + "." + workerToken(worker)
}

// FollowerInbox is where who follows events has them sent.
const FollowerInbox = "_INBOX_follower"

// FollowerPermissions are what `roadbed events tail` and other readers of events
// need: they read events, and nothing else.
func FollowerPermissions() Permissions {
	return Permissions{
		Publish: []string{
			"$JS.API.STREAM.INFO." + eventsStream,
			"$JS.API.CONSUMER.CREATE." + eventsStream + ".>",
			"$JS.API.CONSUMER.MSG.NEXT." + eventsStream + ".>",
		},
		Subscribe: []string{FollowerInbox + ".>"},
	}
}

// recorder is the name of the sidecar's consumers of reports and of log lines.
const recorder = "recorder"

// consumerOf is the name of a pool's consumer.
func consumerOf(pool string) string { return "pool-" + pool }
