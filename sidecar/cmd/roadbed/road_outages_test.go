package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestNATSOutage is law 10: NATS goes away during a run and comes back, once as
// it was and once without any of its data.
func TestNATSOutage(t *testing.T) {
	t.Parallel()
	for name, wipe := range map[string]bool{"it comes back": false, "it comes back empty": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoad(t, options{delay: "3s"})
			r.startWorker("w1")
			request := r.submit(r.submission("dev"))
			r.untilMaking(request.Id)
			r.nats.Stop()
			during := r.submit(r.submission("dev")) // a 202 all the same
			r.until("Terraform has ended unheard", func() bool { return len(r.terraforms()) == 0 })
			if state, _ := r.row(request.Id); state != provision.Applying {
				t.Errorf("without NATS the request became %s", state)
			}
			if wipe {
				r.nats.WipeData()
			}
			r.nats.Start()
			r.untilState(request.Id, provision.Succeeded)
			r.untilState(during.Id, provision.Succeeded)
			r.wantMade(request.Parameters["database_name"], 1, 2)
			r.wantMade(during.Parameters["database_name"], 1, 2)
			r.wantApplies(2)
			r.audit()
			if !wipe {
				r.wantPublished()
			}
		})
	}
}

// TestPostgresOutage is laws 1 and 10: without Postgres an ask gets 503 and when
// to ask again; each key that asks until it is answered has one request; and a
// run goes on to its end.
func TestPostgresOutage(t *testing.T) {
	t.Parallel()
	server := testkit.NewServer(t)
	r := newRoad(t, options{server: server, delay: "4s"})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilMaking(request.Id)

	const askers = 24
	client := r.patient(ann)
	ids := make([]uuid.UUID, askers)
	submissions := make([]any, askers)
	var asking sync.WaitGroup
	begun := make(chan struct{}, askers)
	for i := range askers {
		submission := r.submission("staging")
		submissions[i] = submission.Parameters["database_name"]
		asking.Go(func() {
			for round := range 4 { // the same ask, again and again
				answer, err := client.Submit(t.Context(), fmt.Sprintf("key-%d", i), submission)
				if err != nil {
					t.Errorf("ask %d, time %d: %v", i, round, err)
				} else if ids[i] != uuid.Nil && ids[i] != answer.Id {
					t.Errorf("ask %d got %s and then %s", i, ids[i], answer.Id)
				}
				ids[i] = answer.Id
				if round == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	<-begun
	server.Stop()
	body, err := json.Marshal(r.submission("staging"))
	if err != nil {
		t.Fatal(err)
	}
	token := r.portal.user(t, ann)
	if status, header := r.submitRaw(t, token, "key-down", string(body)); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("without Postgres: %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	if res, err := http.Get(strings.TrimSuffix(r.base(), "/api/roadbed") + "/.backstage/health/v1/readiness"); err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readiness without Postgres: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	r.until("Terraform has ended meanwhile", func() bool { return len(r.terraforms()) == 0 })
	server.Start()
	asking.Wait()
	if status, _ := r.submitRaw(t, token, "key-down", string(body)); status != http.StatusAccepted {
		t.Errorf("the same ask once Postgres is back: %d", status)
	}
	r.until("the request is succeeded", func() bool {
		state := ""
		err := r.pool.QueryRow(t.Context(), "SELECT state FROM requests WHERE id = $1", request.Id).Scan(&state)
		return err == nil && state == string(provision.Succeeded)
	})
	for i, id := range ids {
		if n := r.number("SELECT count(*) FROM requests WHERE idempotency_key = $1", fmt.Sprintf("key-%d", i)); n != 1 {
			t.Errorf("ask %d has %d requests", i, n)
		}
		if n := r.number("SELECT count(*) FROM instances WHERE name = $1", submissions[i]); n != 1 {
			t.Errorf("ask %d has %d instances", i, n)
		}
		if _, err := client.Cancel(t.Context(), id, "the test is over"); err != nil {
			t.Errorf("cancel ask %d: %v", i, err)
		}
	}
	r.wantMade(request.Parameters["database_name"], 1, 2)
	r.wantApplies(1)
	r.audit()
	r.wantPublished()
}

// TestRepeatedMessages is law 3: every job and report comes again, up to three
// times, late and in any order, during the run and after it.
func TestRepeatedMessages(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "3s"})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilMaking(request.Id)
	r.startWorker("w2") // for jobs that come again
	r.forge(request.Id)
	r.repeat()
	r.untilState(request.Id, provision.Succeeded)
	r.until("every message is looked at", r.settled)
	before := r.everything()
	r.repeat()
	r.until("every message is looked at", r.settled)
	if diff := cmp.Diff(before, r.everything()); diff != "" {
		t.Errorf("repeated messages changed something (-before +after):\n%s", diff)
	}
	if got := r.story(request.Id); got != usualStory {
		t.Errorf("its story is %s", got)
	}
	r.wantOnce(request.Id, request.Parameters["database_name"])
}

// forge says that a request has succeeded: as a worker that does not have its
// run, and under a token that it does not have.
func (r *road) forge(request uuid.UUID) {
	r.t.Helper()
	run := uuid.MustParse(r.runID(request))
	for _, forged := range []provision.Report{{Worker: "w2", Fence: 1}, {Worker: "w1", Fence: 2}} {
		_, fence, worker := r.runs(request)
		if forged.Worker == worker && forged.Fence == fence {
			r.t.Fatalf("worker %s does have the run", worker)
		}
		forged.RunID, forged.Sequence, forged.Kind, forged.At = run, 1000, provision.ReportOutcome, time.Now().UTC()
		forged.Outcome = &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true}
		data, err := json.Marshal(forged)
		if err != nil {
			r.t.Fatal(err)
		}
		msg := nats.NewMsg("roadbed.rpt.v1.local." + forged.Worker + "." + run.String())
		msg.Data = data
		msg.Header.Set(nats.MsgIdHdr, uuid.NewString())
		msg.Header.Set("content-type", "application/json")
		if err := r.heard.conn.PublishMsg(msg); err != nil {
			r.t.Fatal(err)
		}
	}
}

// repeat publishes every job, report and log line heard so far one to three
// times more, shuffled, past the server's own guard against repeats.
func (r *road) repeat() {
	r.t.Helper()
	js, err := jetstream.New(r.heard.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	var again []*nats.Msg
	for _, prefix := range []string{"roadbed.job.", "roadbed.rpt.", "roadbed.log."} {
		heard := r.heard.on(prefix)
		if len(heard) == 0 {
			r.t.Fatalf("no message on %s was heard", prefix)
		}
		for _, m := range heard {
			for range 1 + rand.IntN(3) {
				repeated := nats.NewMsg(m.Subject)
				repeated.Data = m.Data
				for name, values := range m.Header {
					repeated.Header[name] = values
				}
				repeated.Header.Set(nats.MsgIdHdr, uuid.NewString())
				again = append(again, repeated)
			}
		}
	}
	rand.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
	for _, m := range again {
		if _, err := js.PublishMsg(r.t.Context(), m); err != nil {
			r.t.Fatalf("repeat a message on %s: %v", m.Subject, err)
		}
	}
	r.t.Logf("%d messages were repeated", len(again))
}

// settled reports whether every message of jobs, reports and logs was taken and
// answered.
func (r *road) settled() bool {
	js, err := jetstream.New(r.heard.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	for stream, name := range map[string]string{"JOBS": "pool-local", "REPORTS": "recorder", "LOGS": "recorder"} {
		consumer, err := js.Consumer(r.t.Context(), stream, name)
		if err != nil {
			r.t.Fatalf("look at %s of %s: %v", name, stream, err)
		}
		if info := consumer.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			return false
		}
	}
	return true
}

// everything is what messages may change, as text.
func (r *road) everything() []string {
	r.t.Helper()
	var all []string
	for _, table := range []string{"requests", "instances", "runs", "events", "log_lines", "states"} {
		rows, err := r.pool.Query(r.t.Context(), "SELECT '"+table+": ' || t::text FROM "+table+" t")
		if err != nil {
			r.t.Fatal(err)
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				r.t.Fatal(err)
			}
			all = append(all, text)
		}
		if err := rows.Err(); err != nil {
			r.t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

// TestPartition cuts the sidecar off from everyone for longer than a lease while
// Terraform applies: the run is kept and its end is told when it is back.
func TestPartition(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "2s"})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilMaking(request.Id)
	r.sidecar.kill()
	r.until("Terraform has ended meanwhile", func() bool { return len(r.terraforms()) == 0 })
	r.until("the lease has run out", func() bool {
		return r.number("SELECT count(*) FROM runs WHERE state = 'claimed' AND lease_expires_at < clock_timestamp()") == 1
	})
	began := time.Now()
	r.sidecar.start()
	r.wantOnce(request.Id, request.Parameters["database_name"])
	t.Logf("its end was told %s after the sidecar was back", time.Since(began).Round(10*time.Millisecond))
}
