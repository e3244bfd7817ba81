package queue

// Permissions are the subjects that one user of NATS may use, as the server's
// configuration names them.
type Permissions struct {
	Publish, Subscribe []string
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

// consumerOf is the name of a pool's consumer.
func consumerOf(pool string) string { return "pool-" + pool }
