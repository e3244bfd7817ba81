package provision_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var driftNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func drifting(edit func(*provision.Instance)) provision.Instance {
	i := provision.Instance{
		ID: uuid.MustParse("0199a3c0-0000-7000-8000-000000000001"), ShortID: "ab12cd34", Offering: "postgres-database", Environment: "dev",
		Name: "orders-db", Owner: "group:default/payments", State: provision.Ready, Generation: 3, Fence: 5, Sequence: 7,
	}
	if edit != nil {
		edit(&i)
	}
	return i
}

func checkOf(i provision.Instance, c provision.DriftCheck, at time.Time) *provision.DriftRecord {
	return provision.NewDriftRecord(i, c, false, provision.NewID(), at)
}

func found(address, cause string) []provision.Difference {
	return []provision.Difference{{Address: address, Kind: provision.DriftChanged, Attribute: "size", Actual: "2", Cause: cause}}
}

// round claims a check and finishes it, and answers what was told.
func round(t *testing.T, i *provision.Instance, c *provision.DriftCheck, at time.Time, d []provision.Difference) string {
	t.Helper()
	r := checkOf(*i, *c, at)
	if err := r.Claim("w1", "digest", time.Minute); err != nil {
		t.Fatalf("claim: %v", err)
	}
	if !r.Finish(d, "", 24*time.Hour) {
		t.Fatal("what was found did not count")
	}
	*i, *c = r.Instance, r.Check
	var told []string
	for _, e := range r.Events() {
		told = append(told, e.Entity+"."+e.Verb)
		if e.Sequence != i.Sequence || e.SubjectID != i.ID {
			t.Errorf("event %s is number %d of %s", e.Verb, e.Sequence, e.SubjectID)
		}
	}
	return strings.Join(told, " ")
}

func TestDriftIsToldWhenItsCauseChangesAndNotDaily(t *testing.T) {
	i, c := drifting(nil), provision.DriftCheck{}
	for day, tt := range []struct {
		found []provision.Difference
		want  string
	}{
		{nil, ""},
		{found("a.b", "one"), "drift.detected"},
		{found("a.b", "one"), ""},
		{found("a.b", "one"), ""},
		{found("a.b", "two"), "drift.detected"},
		{append(found("a.b", "two"), found("a.c", "three")...), "drift.detected"},
		{append(found("a.c", "three"), found("a.b", "two")...), ""}, // the order means nothing
		{nil, "drift.resolved"},
		{nil, ""},
	} {
		at := driftNow.Add(time.Duration(day) * 24 * time.Hour)
		if got := round(t, &i, &c, at, tt.found); got != tt.want {
			t.Errorf("on day %d was told %q, want %q", day, got, tt.want)
		}
		if !c.CheckedAt.Equal(at) || !c.DueAt.Equal(at.Add(24*time.Hour)) || c.AskedBy != provision.DriftSubject || c.Worker != "" {
			t.Errorf("on day %d the check stands at %+v", day, c)
		}
	}
}

func TestSuppressedDriftIsHiddenUntilItsDate(t *testing.T) {
	i, c := drifting(nil), provision.DriftCheck{}
	round(t, &i, &c, driftNow, found("a.b", "one"))
	until := driftNow.Add(48 * time.Hour)
	r := checkOf(i, c, driftNow)
	if err := r.Suppress("another", provision.Suppression{Until: until, By: "user:default/ann", Reason: "test"}); provision.KindOf(err) != provision.Conflict {
		t.Errorf("to suppress a drift that has become another: %v, want a conflict", err)
	}
	if err := r.Suppress("", provision.Suppression{Until: driftNow, By: "user:default/ann", Reason: "test"}); provision.KindOf(err) != provision.Invalid {
		t.Errorf("to suppress it until now: %v, want invalid", err)
	}
	if err := r.Suppress(i.Drift.Cause, provision.Suppression{Until: until, By: "user:default/ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	i = r.Instance
	if !i.Drift.Hidden(until.Add(-time.Second)) || i.Drift.Hidden(until) {
		t.Error("it is not hidden exactly until its date")
	}
	if got := round(t, &i, &c, driftNow.Add(24*time.Hour), found("a.b", "one")); got != "" || i.Drift.Suppressed == nil {
		t.Errorf("while it is suppressed was told %q", got)
	}
	if got := round(t, &i, &c, until, found("a.b", "one")); got != "drift.detected" || i.Drift.Suppressed != nil {
		t.Errorf("when its time was over was told %q, suppressed %+v", got, i.Drift.Suppressed)
	}
	if !i.Drift.FirstSeen.Equal(driftNow) {
		t.Errorf("it was first seen %s, want when it was", i.Drift.FirstSeen)
	}
}

func TestRequestOutranksACheck(t *testing.T) {
	for name, edit := range map[string]func(*provision.DriftRecord){
		"another generation":     func(r *provision.DriftRecord) { r.Instance.Generation++ },
		"another token":          func(r *provision.DriftRecord) { r.Instance.Fence++ },
		"a request at it":        func(r *provision.DriftRecord) { r.Busy = true },
		"it is being changed":    func(r *provision.DriftRecord) { r.Instance.State = provision.Changing },
		"it is being destroyed":  func(r *provision.DriftRecord) { r.Instance.State = provision.Destroying },
		"its last apply is lost": func(r *provision.DriftRecord) { r.Instance.State = provision.Incomplete },
	} {
		r := checkOf(drifting(nil), provision.DriftCheck{}, driftNow)
		if err := r.Claim("w1", "digest", time.Minute); err != nil {
			t.Fatal(err)
		}
		if r.Instance.Fence != 5 || r.Instance.Generation != 3 {
			t.Errorf("a claim moved the instance to generation %d and token %d", r.Instance.Generation, r.Instance.Fence)
		}
		edit(r)
		if r.Finish(found("a.b", "one"), "", time.Hour) || r.Instance.Drift != nil || len(r.Events()) > 0 {
			t.Errorf("with %s what a check found counted", name)
		}
		if r.Check.Worker != "" || !r.Check.DueAt.Equal(driftNow) {
			t.Errorf("with %s the check stands at %+v, want it due again", name, r.Check)
		}
	}
}

func TestClaimOfACheck(t *testing.T) {
	r := checkOf(drifting(nil), provision.DriftCheck{}, driftNow)
	if err := r.Claim("w1", "digest", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := r.Claim("w2", "digest", time.Minute); provision.KindOf(err) != provision.Conflict {
		t.Errorf("another claims what is held: %v, want a conflict", err)
	}
	died := checkOf(r.Instance, r.Check, driftNow.Add(time.Minute))
	if err := died.Claim("w2", "digest", time.Minute); err != nil {
		t.Errorf("the check of a worker that died is not made again: %v", err)
	}
	for name, record := range map[string]*provision.DriftRecord{
		"busy":     provision.NewDriftRecord(drifting(nil), provision.DriftCheck{}, true, provision.NewID(), driftNow),
		"no state": provision.NewDriftRecord(drifting(nil), provision.DriftCheck{}, false, uuid.Nil, driftNow),
		"reserved": checkOf(drifting(func(i *provision.Instance) { i.State = provision.Reserved }), provision.DriftCheck{}, driftNow),
	} {
		if err := record.Claim("w1", "digest", time.Minute); provision.KindOf(err) != provision.Conflict {
			t.Errorf("%s: claimed with %v, want a conflict", name, err)
		}
		if err := record.Ask("user:default/ann"); provision.KindOf(err) != provision.Conflict {
			t.Errorf("%s: asked with %v, want a conflict", name, err)
		}
	}
}

func TestCheckAskedForWhileOneRunsFollowsIt(t *testing.T) {
	r := checkOf(drifting(nil), provision.DriftCheck{DueAt: driftNow.Add(time.Hour), AskedBy: provision.DriftSubject}, driftNow)
	if err := r.Ask("user:default/ann"); err != nil {
		t.Fatal(err)
	}
	if !r.Check.DueAt.Equal(driftNow) || r.Check.AskedBy != "user:default/ann" {
		t.Errorf("asked for, the check is due %s by %s", r.Check.DueAt, r.Check.AskedBy)
	}
	if err := r.Claim("w1", "digest", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := r.Ask("user:default/bea"); err != nil {
		t.Fatal(err)
	}
	r.Finish(nil, "", time.Hour)
	if !r.Check.DueAt.Equal(driftNow) || r.Check.AskedBy != "user:default/bea" {
		t.Errorf("after the running check the next is due %s by %s, want at once by bea", r.Check.DueAt, r.Check.AskedBy)
	}
}

func TestFailedCheckKeepsWhatWasKnownAndIsTriedAgainSoon(t *testing.T) {
	i, c := drifting(nil), provision.DriftCheck{}
	round(t, &i, &c, driftNow, found("a.b", "one"))
	later := driftNow.Add(24 * time.Hour)
	r := checkOf(i, c, later)
	if err := r.Claim("w1", "digest", time.Minute); err != nil {
		t.Fatal(err)
	}
	if !r.Finish(nil, "the server is away", 24*time.Hour) || r.Instance.Drift == nil || len(r.Events()) > 0 {
		t.Errorf("a check that could not tell changed what was known to %+v and told %d events", r.Instance.Drift, len(r.Events()))
	}
	if !r.Check.DueAt.Equal(later.Add(time.Hour)) || r.Check.Failure == "" || !r.Check.CheckedAt.Equal(driftNow) {
		t.Errorf("it stands at %+v", r.Check)
	}
	if never := checkOf(drifting(nil), provision.DriftCheck{}, driftNow); never.Claim("w1", "digest", time.Minute) != nil || !never.Finish(nil, "", 0) || !never.Check.DueAt.IsZero() {
		t.Errorf("without a schedule the next check is due %s", never.Check.DueAt)
	}
}

// changes reads Terraform's words from JSON, numbers as they are stored.
func changes(t *testing.T, text string) (c []provision.Change) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDifferences(t *testing.T) {
	instance := drifting(func(i *provision.Instance) {
		i.Parameters = provision.Parameters{"storage_gb": json.Number("100"), "labels": map[string]any{"a": "1"}}
	})
	offering := provision.Offering{ID: "postgres-database", Parameters: []provision.Parameter{{Name: "labels", Type: "map"}}, Drift: provision.DriftRules{
		Ignore: []string{"db.comment", "db.tags"},
		Adopt:  map[string]string{"db.limit": "connections", "db.settings": "custom_parameters"},
	}}
	for name, tt := range map[string]struct {
		planned, drifted string
		want             []string
	}{
		"nothing": {`[]`, `[]`, nil},
		"a value changed outside": {
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":7,"name":"x"},"after":{"limit":50,"name":"x"}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":50,"name":"x"},"after":{"limit":7,"name":"x"}}]`,
			[]string{"limit of db.main is 7 (connections)"},
		},
		"a provider that spells it differently": {
			`[{"address":"db.main","type":"db","action":"no-op","before":{"limit":7},"after":{"limit":7}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":null},"after":{"limit":7}}]`,
			nil,
		},
		"nothing in other words": {
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":7,"list":[],"note":""},"after":{"limit":50,"list":null,"note":null}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":50,"list":null,"note":null},"after":{"limit":7,"list":[],"note":""}}]`,
			[]string{"limit of db.main is 7 (connections)"},
		},
		"a computed attribute": {
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":7,"etag":"b"},"after":{"limit":50}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":50,"etag":"a"},"after":{"limit":7,"etag":"b"}}]`,
			[]string{"limit of db.main is 7 (connections)"},
		},
		"noise that the offering names": {
			`[{"address":"db.main","type":"db","action":"update","before":{"comment":"hi","tags":{"x":"1"}},"after":{"comment":null,"tags":{}}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"comment":null,"tags":{}},"after":{"comment":"hi","tags":{"x":"1"}}}]`,
			nil,
		},
		"what only follows from it": {
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":7},"after":{"limit":50}},
			  {"address":"log.main","type":"log","action":"update","before":{"at":1},"after":{"at":2}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":50},"after":{"limit":7}}]`,
			[]string{"limit of db.main is 7 (connections)"},
		},
		"members of a map": {
			`[{"address":"db.main","type":"db","action":"update","before":{"settings":{"a":"1","b":"2"}},"after":{"settings":{"a":"1","c":"3"}}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"settings":{"a":"1","c":"3"}},"after":{"settings":{"a":"1","b":"2"}}}]`,
			[]string{`settings.b of db.main is "2" (custom_parameters.b)`, "settings.c of db.main is not set (custom_parameters.c)"},
		},
		"a map that was empty": {
			`[{"address":"db.main","type":"db","action":"update","before":{"settings":{"a":"1"}},"after":{"settings":null}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"settings":null},"after":{"settings":{"a":"1"}}}]`,
			[]string{`settings.a of db.main is "1" (custom_parameters.a)`},
		},
		"what comes from one parameter alone, and is its value": {
			`[{"address":"vm.main","type":"vm","action":"update","before":{"disk":160,"half":7,"mixed":2,"labels":{"a":"2"}},"after":{"disk":100,"half":50,"mixed":1,"labels":{"a":"1"}},
			   "sources":{"disk":["storage_gb"],"half":["storage_gb"],"mixed":["storage_gb","size"],"labels":["labels"]}}]`,
			`[{"address":"vm.main","type":"vm","action":"update","before":{"disk":100,"half":50,"mixed":1,"labels":{"a":"1"}},"after":{"disk":160,"half":7,"mixed":2,"labels":{"a":"2"}}}]`,
			[]string{"disk of vm.main is 160 (storage_gb)", "half of vm.main is 7", `labels.a of vm.main is "2" (labels.a)`, "mixed of vm.main is 2"},
		},
		"something is gone": {
			`[{"address":"role.owner[\"a\"]","type":"role","action":"create","after":{"name":"x"}},{"address":"log.main","type":"log","action":"update","before":{"at":1},"after":{"at":2}}]`,
			`[{"address":"role.owner[\"a\"]","type":"role","action":"delete","before":{"name":"x"}}]`,
			[]string{`role.owner["a"] is gone`},
		},
		"a sensitive value": {
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":50},"after":{"limit":50}}]`,
			`[{"address":"db.main","type":"db","action":"update","before":{"limit":50},"after":{"limit":50}}]`,
			[]string{"db.main has changed in what is not shown"},
		},
		"nobody touched it, but what it is made from has changed": {
			`[{"address":"db.main","type":"db","action":"update","before":{"region":"a"},"after":{"region":"b"}}]`,
			`[]`,
			[]string{`region of db.main would become "b" now`},
		},
	} {
		var got []string
		for _, d := range provision.Differences(offering, instance, changes(t, tt.planned), changes(t, tt.drifted)) {
			text := d.Title()
			if d.Parameter != "" {
				text += " (" + d.Parameter + ")"
			}
			got = append(got, text)
			if d.Cause == "" {
				t.Errorf("%s: %q has no cause", name, text)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOneCauseOverInstances(t *testing.T) {
	change := func(i provision.Instance, value string) string {
		text := strings.NewReplacer("NAME", strings.ReplaceAll(i.Name, "-", "_"), "SHORT", i.ShortID, "VALUE", value).Replace(
			`[{"address":"db.main[\"SHORT\"]","type":"db","action":"update","before":{"owner":"VALUE"},"after":{"owner":"NAME_SHORT_owner"}}]`)
		drifted := strings.NewReplacer("before", "after", "after", "before").Replace(text)
		found := provision.Differences(provision.Offering{ID: i.Offering}, i, changes(t, text), changes(t, drifted))
		if len(found) != 1 {
			t.Fatalf("%d differences", len(found))
		}
		return found[0].Cause
	}
	orders := drifting(nil)
	billing := drifting(func(i *provision.Instance) {
		i.ID, i.ShortID, i.Name = uuid.MustParse("0199a3c0-0000-7000-8000-000000000002"), "ef56ab78", "billing"
	})
	if change(orders, "dba") != change(billing, "dba") {
		t.Error("the same change to two instances has two causes")
	}
	if change(orders, "orders_db_ab12cd34_dba") != change(billing, "billing_ef56ab78_dba") {
		t.Error("the same change, but for the instance's own names, has two causes")
	}
	if change(orders, "dba") == change(orders, "root") {
		t.Error("two values have one cause")
	}
}

func TestRefreshesThatFindNothingAreNoDrift(t *testing.T) {
	nothing := []any{nil, "", []any{}, map[string]any{}}
	random := rand.New(rand.NewPCG(1, 2))
	offering := provision.Offering{ID: "postgres-database"}
	for n := range 1000 {
		before, after := map[string]any{"name": "x"}, map[string]any{"name": "x"}
		for i := range random.IntN(6) {
			name := string(rune('a' + i))
			before[name], after[name] = nothing[random.IntN(len(nothing))], nothing[random.IntN(len(nothing))]
		}
		if random.IntN(2) == 0 {
			before["etag"] = n // computed: the plan does not know it yet
		}
		change := provision.Change{Address: "db.main", Type: "db", Action: "no-op", Before: before, After: after}
		moved := change
		moved.Action = "update"
		if d := provision.Differences(offering, drifting(nil), []provision.Change{change}, []provision.Change{moved}); len(d) > 0 {
			t.Fatalf("refresh %d of %v as %v is drift: %+v", n, before, after, d)
		}
	}
}
