package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const feedSecret = "feed-secret-of-forty-characters-0123456789"

// feed is the rig's feed on a server of its own.
func (r *rig) feed(refresh func(context.Context, string) error) (*httpapi.Feed, *httptest.Server) {
	r.t.Helper()
	feed, err := httpapi.NewFeed(httpapi.FeedConfig{
		Server: r.server, Secret: feedSecret, Refresh: refresh,
		Templates: func() ([]byte, error) { return []byte("kind: Template\n"), nil },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	server := httptest.NewServer(feed)
	r.t.Cleanup(server.Close)
	return feed, server
}

func get(t *testing.T, url, tag string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// entitiesIn are the entities of a stream of YAML documents, by name.
func entitiesIn(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var entity map[string]any
		switch err := decoder.Decode(&entity); {
		case errors.Is(err, io.EOF):
			return found
		case err != nil:
			t.Fatalf("the feed is no YAML: %v\n%s", err, text)
		}
		found[entity["metadata"].(map[string]any)["name"].(string)] = entity
	}
}

func TestTheFeedIsReadOnlyWithItsSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request := r.ready("orders")
	_, server := r.feed(nil)
	for _, path := range []string{"/instances.yaml", "/guess/instances.yaml", "/" + feedSecret[:len(feedSecret)-1] + "/instances.yaml", "/" + feedSecret + "/", "/" + feedSecret + "/other.yaml", "/"} {
		if got := get(t, server.URL+path, ""); got.status != http.StatusNotFound || strings.Contains(got.body, "orders") {
			t.Errorf("%s answered %d %s", path, got.status, got.body)
		}
	}
	base := server.URL + "/" + feedSecret
	index := entitiesIn(t, get(t, base+"/index.yaml", "").body)["roadbed"]
	if targets := index["spec"].(map[string]any)["targets"].([]any); index["kind"] != "Location" || len(targets) != 2 || targets[0] != "./templates.yaml" || targets[1] != "./instances.yaml" {
		t.Errorf("the index is %v", index)
	}
	if got := get(t, base+"/templates.yaml", ""); got.status != http.StatusOK || got.body != "kind: Template\n" {
		t.Errorf("the forms answered %d %s", got.status, got.body)
	}
	entity := entitiesIn(t, get(t, base+"/instances.yaml", "").body)["orders.postgres-database"]
	metadata := entity["metadata"].(map[string]any)
	if entity["kind"] != "Resource" || metadata["namespace"] != "dev" || entity["spec"].(map[string]any)["owner"] != "group:default/payments" ||
		metadata["annotations"].(map[string]any)["roadbed.dev/request"] != request.Id.String() {
		t.Errorf("the entity is %v", entity)
	}
	if strings.Contains(r.log.String(), feedSecret) {
		t.Error("the log has the feed's secret")
	}
	if got := get(t, r.http.URL+"/"+feedSecret+"/instances.yaml", ""); got.status != http.StatusNotFound {
		t.Errorf("the API's own listener answered %d", got.status)
	}
}

func TestTheFeedIsNeverEmptyForWantOfADatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, server := r.feed(nil)
	url := server.URL + "/" + feedSecret + "/instances.yaml"
	first := get(t, url, "")
	if first.status != http.StatusOK || len(entitiesIn(t, first.body)) != 0 {
		t.Errorf("without instances it answered %d %s", first.status, first.body)
	}
	r.ready("orders")
	second := get(t, url, first.header.Get("ETag"))
	tag := second.header.Get("ETag")
	if second.status != http.StatusOK || tag == first.header.Get("ETag") || !strings.HasPrefix(tag, `"`) {
		t.Errorf("with another instance it answered %d, tag %s", second.status, tag)
	}
	for _, have := range []string{tag, `"other", ` + tag, "W/" + tag} {
		if got := get(t, url, have); got.status != http.StatusNotModified || got.body != "" {
			t.Errorf("who has %s was answered %d %s", have, got.status, got.body)
		}
	}
	r.store.Close()
	if got := get(t, url, tag); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without its database it answered %d %s", got.status, got.body)
	}
}

func TestTheCatalogIsToldOfChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	told := make(chan string, 100)
	fails := true
	feed, _ := r.feed(func(_ context.Context, location string) error {
		if fails { // the catalog has not read the location yet
			fails = false
			return errors.New("the catalog answered 404")
		}
		told <- location
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- feed.Run(ctx) }()
	const want = "location:default/roadbed"
	hear := func(what string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("it was told to read %s, want %s", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the catalog was not told %s", what)
		}
	}
	hear("at the start")
	r.submit("orders")
	hear("of an instance")
	testkit.Eventually(t, time.Second, "nothing more is told", func() bool { return len(told) == 0 })
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAFeedNeedsASecretThatCannotBeGuessed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, secret := range []string{"", "short", strings.Repeat("a", 31), strings.Repeat("a", 31) + "/", strings.Repeat("ü", 40)} {
		_, err := httpapi.NewFeed(httpapi.FeedConfig{Server: r.server, Secret: secret})
		kindOf(t, err, provision.Invalid)
	}
}
