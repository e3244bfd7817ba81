package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Condition is how a NATS server stands.
type Condition struct {
	Version   string
	JetStream error    // nil when it may be used
	Missing   []string // streams that are not there
	InMemory  []string // streams that a restart of the server loses
	Differing []string // streams whose subjects or retention are not ours
	Refused   []string // what the user may not do of what it needs: "publish <subject>" or "subscribe <subject>"
	Single    []string // streams that have fewer copies than were asked for
}

// Examine asks a server how it stands, as the sidecar of cfg.Pools, and makes
// nothing: what it tries to publish no stream takes. It blocks for at most 20 s;
// the error is that it cannot be reached, or does not let us in.
func Examine(ctx context.Context, cfg Config) (Condition, error) {
	conn, js, err := visit(cfg)
	if err != nil {
		return Condition{}, err
	}
	defer conn.Close()
	c := Condition{Version: conn.ConnectedServerVersion()}
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	if c.Refused, err = refused(ctx, conn, sidecarSubjects(cfg.Pools), SidecarInbox); err != nil || len(c.Refused) > 0 {
		return c, err
	}
	for _, want := range streams(max(cfg.Replicas, 1)) {
		stream, err := js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			c.Missing = append(c.Missing, want.Name)
			continue
		case err != nil:
			c.JetStream = fmt.Errorf("look at the stream %s: %w", want.Name, err)
			return c, nil
		}
		has := stream.CachedInfo().Config
		if has.Storage == jetstream.MemoryStorage {
			c.InMemory = append(c.InMemory, want.Name)
		}
		if has.Replicas < want.Replicas {
			c.Single = append(c.Single, want.Name)
		}
		if len(has.Subjects) != 1 || has.Subjects[0] != want.Subjects[0] || has.Retention != want.Retention {
			c.Differing = append(c.Differing, want.Name)
		}
	}
	return c, nil
}

// ExaminePool is Examine as a worker of a pool, whose user sees no more than the
// pool's jobs: Missing is then the stream of jobs, and JetStream why they cannot
// be looked at. Invalid when a name cannot be a part of a subject.
func ExaminePool(ctx context.Context, cfg Config, pool, worker string) (Condition, error) {
	may, err := WorkerPermissions(pool, worker)
	if err != nil {
		return Condition{}, err
	}
	cfg.Inbox = WorkerInbox(pool, worker)
	conn, js, err := visit(cfg)
	if err != nil {
		return Condition{}, err
	}
	defer conn.Close()
	c := Condition{Version: conn.ConnectedServerVersion()}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	var subjects []string
	for _, subject := range may.Publish {
		subjects = append(subjects, strings.NewReplacer(">", "doctor", "*", "doctor").Replace(subject))
	}
	if c.Refused, err = refused(ctx, conn, subjects, cfg.Inbox); err != nil || len(c.Refused) > 0 {
		return c, err
	}
	_, err = js.Consumer(ctx, jobsStream, consumerOf(pool))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		c.Missing = []string{jobsStream}
	case err != nil:
		c.JetStream = fmt.Errorf("look at the jobs of pool %s: %w", pool, err)
	}
	return c, nil
}

// refused tries to publish to each subject, and to listen to the inbox, and
// answers what the user may not. What it publishes has no effect: streams refuse
// it because it is meant for another, and JetStream cannot read it.
func refused(ctx context.Context, conn *nats.Conn, subjects []string, inbox string) (all []string, err error) {
	may := func(doing string) error {
		if err := conn.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("try to %s: %w", doing, err)
		}
		// The server answers in order: its refusal is there before the end of the flush.
		if err := conn.LastError(); errors.Is(err, nats.ErrPermissionViolation) && !slices.Contains(all, doing) && strings.Contains(err.Error(), doing[strings.Index(doing, " ")+1:]) {
			all = append(all, doing)
		}
		return nil
	}
	answers := inbox + "." + nats.NewInbox()[len(nats.InboxPrefix):]
	heard, err := conn.SubscribeSync(answers)
	if err == nil {
		err = may("subscribe " + answers)
	}
	if err != nil {
		return all, err
	}
	defer func() { _ = heard.Unsubscribe() }() // it ends with the connection
	for _, subject := range subjects {
		msg := nats.NewMsg(subject)
		msg.Reply, msg.Data = answers, []byte("{")
		msg.Header.Set(jetstream.ExpectedStreamHeader, "none")
		if err := conn.PublishMsg(msg); err != nil {
			return all, err
		}
		if err := may("publish " + subject); err != nil {
			return all, err
		}
	}
	for i, doing := range all {
		all[i] = strings.Replace(doing, answers, inbox+".>", 1)
	}
	return all, nil
}

// visit connects once and does not try again.
func visit(cfg Config) (*nats.Conn, jetstream.JetStream, error) {
	options, err := cfg.identity()
	if err != nil {
		return nil, nil, err
	}
	conn, err := nats.Connect(cfg.URL, append(options, nats.Name("roadbed-doctor"), nats.Timeout(patience),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, js, nil
}
