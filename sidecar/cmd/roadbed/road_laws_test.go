package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// told is an event as the database has it.
type told struct {
	ID       uuid.UUID
	Sequence int64
	Entity   string
	Verb     string
	Data     map[string]any
}

// standing is what events say of a request.
type standing struct {
	State    provision.State
	Sequence int64
	Error    any
	Outputs  any
	Steps    map[int]string // status and details
}

// audit holds everything that the database knows to the laws that can be seen
// there, and what NATS was given to what was committed.
func (r *road) audit() {
	r.t.Helper()
	r.until("every event is published", func() bool { return r.number("SELECT count(*) FROM outbox") == 0 })
	events := r.events()
	r.auditRequests(events)
	r.auditInstances(events)
	if n := r.number(`SELECT count(*) FROM (SELECT 1 FROM requests WHERE state = 'succeeded' GROUP BY instance_id, generation HAVING count(*) > 1) twice`); n > 0 {
		r.t.Errorf("%d generations were applied more than once", n)
	}
	if n := r.number(`SELECT count(*) FROM runs WHERE state <> 'ended' AND request_id IN (SELECT id FROM requests WHERE finished_at IS NOT NULL)`); n > 0 {
		r.t.Errorf("%d runs go on for requests that have ended", n)
	}
	committed := map[string]bool{}
	for _, list := range events {
		for _, e := range list {
			committed[e.ID.String()] = true
		}
	}
	for _, m := range r.stream("EVENTS") {
		id := m.Header.Get("ce-id")
		if !committed[id] {
			r.t.Errorf("event %s on %s was never committed", id, m.Subject)
		}
	}
}

// wantPublished holds the stream to every event that was committed.
func (r *road) wantPublished() {
	r.t.Helper()
	published := map[string]bool{}
	for _, m := range r.stream("EVENTS") {
		published[m.Header.Get("ce-id")] = true
	}
	for _, list := range r.events() {
		for _, e := range list {
			if !published[e.ID.String()] {
				r.t.Errorf("%s.%s, event %d, is not in the stream", e.Entity, e.Verb, e.Sequence)
			}
		}
	}
}

// events are all, by subject, and checks that each subject's are 1 to n.
func (r *road) events() map[uuid.UUID][]told {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), "SELECT subject_id, id, sequence, entity, verb, data FROM events ORDER BY subject_id, sequence")
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	all := map[uuid.UUID][]told{}
	for rows.Next() {
		var subject uuid.UUID
		var e told
		if err := rows.Scan(&subject, &e.ID, &e.Sequence, &e.Entity, &e.Verb, &e.Data); err != nil {
			r.t.Fatal(err)
		}
		if want := int64(len(all[subject]) + 1); e.Sequence != want {
			r.t.Errorf("event %d of %s is numbered %d", want, subject, e.Sequence)
		}
		all[subject] = append(all[subject], e)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return all
}

func (r *road) auditRequests(events map[uuid.UUID][]told) {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), "SELECT id, state, waiting, sequence, error, outputs, steps FROM requests")
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var waiting string
		var steps []provision.Step
		row := standing{Steps: map[int]string{}}
		if err := rows.Scan(&id, &row.State, &waiting, &row.Sequence, &row.Error, &row.Outputs, &steps); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range steps {
			row.Steps[s.Step] = string(s.Status) + " " + s.Details
		}
		if diff := cmp.Diff(r.fold(id, events[id], len(steps)), row); diff != "" {
			r.t.Errorf("request %s is not the fold of its events (-events +row):\n%s", id, diff)
		}
		if !row.State.Terminal() && waiting == "" && row.State != provision.Planning && row.State != provision.Applying {
			r.t.Errorf("request %s is %s and does not say what it waits for", id, row.State)
		}
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
}

// fold is where the events of a request lead, along the moves that a request
// may make and no further than its end.
func (r *road) fold(id uuid.UUID, events []told, steps int) standing {
	r.t.Helper()
	s := standing{Steps: map[int]string{}}
	for i := range steps {
		s.Steps[i+1] = "pending "
	}
	for _, e := range events {
		if s.State.Terminal() && s.State != "" {
			r.t.Errorf("%s.%s of request %s comes after its end", e.Entity, e.Verb, id)
		}
		s.Sequence = e.Sequence
		next := provision.State(e.Verb)
		switch {
		case e.Entity == "step":
			s.Steps[int(e.Data["step"].(float64))] = e.Data["status"].(string) + " " + e.Data["details"].(string)
		case e.Entity == "request" && slices.Contains(provision.States(), next):
			if s.State != "" {
				if err := s.State.To(next); err != nil {
					r.t.Errorf("request %s: %v", id, err)
				}
			}
			s.State = next
			if next.Terminal() {
				s.Error, s.Outputs = e.Data["error"], e.Data["outputs"]
			}
		}
	}
	return s
}

func (r *road) auditInstances(events map[uuid.UUID][]told) {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), "SELECT id, state, sequence FROM instances")
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var state, folded provision.InstanceState
		var sequence, last int64
		if err := rows.Scan(&id, &state, &sequence); err != nil {
			r.t.Fatal(err)
		}
		for _, e := range events[id] {
			last = e.Sequence
			if e.Entity != "instance" || !slices.Contains(provision.InstanceStates(), provision.InstanceState(e.Verb)) {
				continue // its end nears or moves, and it stays what it is
			}
			if next := provision.InstanceState(e.Verb); folded != "" {
				if err := folded.To(next); err != nil {
					r.t.Errorf("instance %s: %v", id, err)
				}
			}
			folded = provision.InstanceState(e.Verb)
		}
		if folded != state || last != sequence {
			r.t.Errorf("instance %s is %s at %d, its events say %s at %d", id, state, sequence, folded, last)
		}
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	if n := r.number(`
		SELECT count(*) FROM balances b
		 WHERE ARRAY[b.reserved_mills, b.committed_mills] IS DISTINCT FROM (
		       SELECT ARRAY[COALESCE(sum(i.reserved_mills), 0), COALESCE(sum(i.committed_mills), 0)]::bigint[] FROM instances i
		        WHERE b.name = CASE b.kind WHEN 'team' THEN i.owner WHEN 'cost_center' THEN i.cost_center ELSE i.environment END)`); n != 0 {
		r.t.Errorf("%d balances are not the sums over the instances", n)
	}
}

// stream is everything that a stream holds.
func (r *road) stream(name string) []*jetstream.RawStreamMsg {
	r.t.Helper()
	js, err := jetstream.New(r.heard.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	stream, err := js.Stream(r.t.Context(), name)
	if err != nil {
		r.t.Fatalf("look at the stream %s: %v", name, err)
	}
	state := stream.CachedInfo().State
	var all []*jetstream.RawStreamMsg
	for n := state.FirstSeq; n > 0 && n <= state.LastSeq; n++ {
		m, err := stream.GetMsg(r.t.Context(), n)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			r.t.Fatalf("read message %d of %s: %v", n, name, err)
		}
		all = append(all, m)
	}
	return all
}

// reports are what workers have said of a request's runs, in order.
func (r *road) reports() []provision.Report {
	r.t.Helper()
	var all []provision.Report
	for _, m := range r.stream("REPORTS") {
		var report provision.Report
		if err := json.Unmarshal(m.Data, &report); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, report)
	}
	return all
}

// story is the events of a request in short, its steps and its money left out.
func (r *road) story(id uuid.UUID) string {
	r.t.Helper()
	var short []string
	for _, e := range r.events()[id] {
		if e.Entity != "step" && e.Entity != "reservation" {
			short = append(short, e.Entity+"."+e.Verb)
		}
	}
	return strings.Join(short, " ")
}
