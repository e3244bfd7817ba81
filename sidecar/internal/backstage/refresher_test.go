package backstage

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheCatalogIsAskedToReadALocationAgain(t *testing.T) {
	t.Parallel()
	status, sent := http.StatusOK, ""
	catalog := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token, err := parse(r.Header.Get("Authorization")[len("Bearer "):])
		if err != nil || token.typ != typPlugin || token.claim("sub") != "roadbed" || token.claim("aud") != "catalog" {
			t.Errorf("it came with the token %+v, %v", token, err)
		}
		sent = r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(catalog.Close)
	discovery, err := NewDiscovery(catalog.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner("roadbed", newTestKey(t))
	if err != nil {
		t.Fatal(err)
	}
	refresher := NewRefresher(discovery, signer)
	if err := refresher.Refresh(t.Context(), "location:default/generated-0"); err != nil {
		t.Fatal(err)
	}
	if want := `POST /api/catalog/refresh application/json {"entityRef":"location:default/generated-0"}`; sent != want {
		t.Errorf("it sent %s, want %s", sent, want)
	}
	status = http.StatusNotFound
	if err := refresher.Refresh(t.Context(), "location:default/generated-0"); err == nil {
		t.Error("a location that the catalog does not know is no error")
	}
	catalog.Close()
	if err := refresher.Refresh(t.Context(), "location:default/generated-0"); err == nil {
		t.Error("a catalog that is away is no error")
	}
}
