package main

import (
	"bytes"
	"slices"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestKeysRotateWithoutLosingAnything makes a database, gives the sidecar and the
// pool new keys one after the other, seals everything anew, throws the older keys
// away, and then opens its credentials and changes it.
func TestKeysRotateWithoutLosingAnything(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	worker := r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilState(request.Id, provision.Succeeded)
	before, err := r.as(ann).Credentials(t.Context(), *request.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	roadbed := func(args ...string) {
		t.Helper()
		var out, problems bytes.Buffer
		if code := run(t.Context(), args, &out, &problems); code != exitOK {
			t.Fatalf("roadbed %v: %d, %s", args, code, problems.String())
		}
	}
	restart := func() {
		t.Helper()
		worker.stop()
		r.sidecar.stop()
		r.sidecar.start()
		r.untilReady()
		worker.start()
	}
	same := func(when string) {
		t.Helper()
		got, err := r.as(ann).Credentials(t.Context(), *request.InstanceId)
		if err != nil || got["password"] != before["password"] {
			t.Errorf("%s the credentials are not what they were (%v)", when, err)
		}
	}
	for _, holder := range []string{"sidecar", "local"} {
		roadbed("keys", "rotate", "--dir", r.path("keys"), "--holder", holder)
	}
	restart()
	same("with new keys beside the older ones")
	roadbed("keys", "rewrap", "--database", r.database, "--keys-dir", r.path("keys"), "--environments", r.path("environments"))
	for _, holder := range []string{"sidecar", "local"} {
		roadbed("keys", "retire", "--dir", r.path("keys"), "--holder", holder)
	}
	restart()
	same("with the new keys alone")
	update, err := r.as(ann).Update(t.Context(), "larger", *request.InstanceId, provision.Parameters{"storage_gb": 120})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	same("after a change")
}

// TestDoorPublishesKeysThatDoNotSign is a rotation of the key that Roadbed's own
// tokens are signed with: both are published, one signs.
func TestDoorPublishesKeysThatDoNotSign(t *testing.T) {
	t.Parallel()
	portal, dir := newPortal(t), t.TempDir()
	present, next := portal.trusted(t, "roadbed"), portal.trusted(t, "roadbed")
	writeFile(t, dir+"/present.pem", present)
	writeFile(t, dir+"/next.pem", next)
	sets := map[string][]byte{}
	for name, c := range map[string]sidecarConfig{
		"before": {SigningKey: dir + "/present.pem", Published: []string{dir + "/next.pem"}},
		"after":  {SigningKey: dir + "/next.pem", Published: []string{dir + "/present.pem"}},
	} {
		c.Backstage, c.Algorithms = portal.URL, []string{"ES256"}
		d, err := c.door(nil)
		if err != nil {
			t.Fatal(err)
		}
		sets[name] = d.keySet
	}
	kids := func(set []byte) []string {
		var found []string
		for _, part := range bytes.Split(set, []byte(`"kid":"`))[1:] {
			found = append(found, string(part[:bytes.IndexByte(part, '"')]))
		}
		return found
	}
	first, second := kids(sets["before"]), kids(sets["after"])
	if len(first) != 2 || first[0] != second[1] || first[1] != second[0] || slices.Equal(first, second) {
		t.Errorf("the key sets have %v and then %v; want both keys in each, the one that signs first", first, second)
	}
}
