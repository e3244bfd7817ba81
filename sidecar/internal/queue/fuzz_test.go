package queue

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FuzzMessages reads anything as each kind of message: it is taken as what its
// subject says, or refused as Invalid, so that it is dropped and not repeated.
func FuzzMessages(f *testing.F) {
	const run = "01990000-0000-7000-8000-000000000001"
	f.Add("roadbed.rpt.v1.local.w1."+run, []byte(`{"run_id":"`+run+`","worker":"w1","fence":1,"sequence":1,"kind":"outcome","outcome":{"result":"succeeded"}}`))
	f.Add("roadbed.rpt.v1.local.w1."+run, []byte(`{"run_id":"`+run+`","worker":"w2","pool":"aws","Pool":"aws"}`))
	f.Add("roadbed.log.v1.local.w1."+run, []byte(`{"run_id":"`+run+`","number":-1,"text":"\ud800","Pool":"aws","worker":"w2"}`))
	f.Add("roadbed.evt.v1.request.queued.dev."+run, []byte(`{"a":1e999}`))
	f.Add("......", []byte(`null`))
	f.Add("", []byte(``))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		pool, worker, of := sender(subject)
		report, err := readReport(subject, data)
		if err == nil && (report.Pool != pool || workerToken(report.Worker) != worker || report.RunID.String() != of) {
			t.Errorf("%s: a report of %s/%s and run %s", subject, report.Pool, report.Worker, report.RunID)
		}
		invalid(t, err)
		line, err := readLine(subject, data)
		if err == nil && (line.Pool != pool || line.Worker != worker || line.RunID.String() != of) {
			t.Errorf("%s: a line of %s/%s and run %s", subject, line.Pool, line.Worker, line.RunID)
		}
		invalid(t, err)
		header := nats.Header{"ce-id": {lastOf(subject)}, "ce-sequence": {"1"}, "ce-time": {string(data)}}
		event, err := readEvent(subject, header, data)
		if err == nil && event.SubjectID.String() != strings.ToLower(event.SubjectID.String()) {
			t.Errorf("%s: an event of %s", subject, event.SubjectID)
		}
		invalid(t, err)
	})
}

func invalid(t *testing.T, err error) {
	t.Helper()
	if err != nil && provision.KindOf(err) != provision.Invalid {
		t.Errorf("%v is %s, want Invalid", err, provision.KindOf(err))
	}
}

func lastOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
