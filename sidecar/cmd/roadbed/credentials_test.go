package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestConnectSaysWhatIsMissing(t *testing.T) {
	site, nowhere := t.TempDir(), t.TempDir()
	if _, err := devenv.OpenSite(site); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		flags serverFlags
		want  string // in the error; "" is none
	}{
		"a server and a token":             {serverFlags{Server: "http://roadbed/api/roadbed", Token: "t", Data: nowhere}, ""},
		"the development site and a token": {serverFlags{Token: "t", Data: site}, ""},
		"a person of the development site": {serverFlags{As: "ann", Data: site}, ""},
		"nothing":                          {serverFlags{Data: nowhere}, "give --server URL (or ROADBED_URL), or start one with `roadbed dev`"},
		"nobody who asks":                  {serverFlags{Data: site}, "give --token TOKEN (or ROADBED_TOKEN) with a Backstage token, or --as NAME"},
		"a person without a site":          {serverFlags{Server: "http://roadbed/api/roadbed", As: "ann", Data: nowhere}, "--as is for a development site"},
		"a person that nobody knows":       {serverFlags{As: "eve", Data: site}, `there is no "eve" on a development site; be ann, ben, pat`},
		"a server that is no URL":          {serverFlags{Server: "roadbed:7099", Token: "t", Data: site}, "is not the URL of Roadbed's API"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tt.flags.connect()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("connect: %v", err)
			case tt.want != "" && (provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("connect gave %v, want Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestInstancesByName(t *testing.T) {
	instances := []api.Instance{
		{Name: "orders", Offering: "postgres-database", EntityRef: "resource:dev/orders.postgres-database"},
		{Name: "orders", Offering: "static-site", EntityRef: "resource:dev/orders.static-site"},
		{Name: "search", Offering: "static-site", EntityRef: "resource:dev/search.static-site"},
	}
	tests := map[string]struct {
		name string
		want string
		kind provision.Kind
		says string
	}{
		"the full name":           {name: "orders.static-site", want: "resource:dev/orders.static-site"},
		"a name that one has":     {name: "search", want: "resource:dev/search.static-site"},
		"refs ignore case":        {name: "Search", want: "resource:dev/search.static-site"},
		"a name that two have":    {name: "orders", kind: provision.Invalid, says: "say which: resource:dev/orders.postgres-database, resource:dev/orders.static-site"},
		"a name that nobody has":  {name: "carts", kind: provision.NotFound, says: "there is no living instance dev/carts"},
		"a part of a name is not": {name: "order", kind: provision.NotFound, says: "dev/order"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := theOne(matching(instances, tt.name), "dev/"+tt.name)
			if tt.want != got.EntityRef {
				t.Errorf("found %q, want %q", got.EntityRef, tt.want)
			}
			if tt.want == "" && (provision.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("error is %v, want %s with %q", err, tt.kind, tt.says)
			}
		})
	}
	for _, named := range []string{"orders", "dev/", "/orders", "0199a3c0"} {
		if _, err := (&connection{}).instance(t.Context(), named); provision.KindOf(err) != provision.Invalid {
			t.Errorf("instance %q gave %v, want Invalid before any call", named, err)
		}
	}
}

func TestPrintCredentials(t *testing.T) {
	var out strings.Builder
	printCredentials(&out, "resource:dev/orders.postgres-database", map[string]any{"username": "orders_owner", "password": "s3cret", "port": json.Number("5432")})
	checkText(t, out.String(), `
resource:dev/orders.postgres-database
  password  s3cret
  port      5432
  username  orders_owner
This opening is recorded with your name.
`)
}

func TestEventLine(t *testing.T) {
	e := provision.Event{
		ID: ordersAsk, Entity: "request", Verb: "queued", SubjectID: ordersAsk, Sequence: 3, Environment: "dev", At: askedAt,
		Data: map[string]any{"state": "queued", "waiting": "waiting for a worker", "actor": "", "fence": 1, "outputs": map[string]any{"port": 5432}},
	}
	checkText(t, eventLine(e), `12:00:00  request.queued  dev  0199a3c0-0000-7000-8000-000000000001  #3  actor=""  fence=1  outputs={"port":5432}  state=queued  waiting="waiting for a worker"`)
	text, err := json.Marshal(cloudEvent(e))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "data")
	want := map[string]any{
		"specversion": "1.0", "id": ordersAsk.String(), "source": "/roadbed", "type": "dev.roadbed.request.queued.v1", "subject": ordersAsk.String(),
		"time": askedAt.UTC().Format("2006-01-02T15:04:05Z"), "datacontenttype": "application/json", "sequence": "00000000000000000003",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CloudEvent (-want +got):\n%s", diff)
	}
}
