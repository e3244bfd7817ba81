package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FeedConfig is what a Feed needs.
type FeedConfig struct {
	Server    *Server
	Secret    string                                           // the first part of its paths: whoever knows it reads every instance
	Templates func() ([]byte, error)                           // the offerings' forms as a stream of YAML documents
	Refresh   func(ctx context.Context, location string) error // has the catalog read a location again; nil when nobody can be told
	Begin     func() (done func(error))                        // is told of each round of Run, and of its end; nil: nobody is
}

// Feed is the catalog's door without our plugin: forms and instances as files
// that a Location of type url names. A catalog sends no credentials, so the
// feed has a listener of its own and a secret in its paths. It may be used from
// many goroutines.
type Feed struct {
	FeedConfig
	handler http.Handler
	busy    chan struct{}
}

const (
	feedSlots     = 4                // files made at once
	feedPause     = time.Second      // between two words to the catalog
	feedWait      = 25 * time.Second // for a change
	leastSecret   = 32               // characters
	feedName      = "roadbed"        // of the Location that names the files
	feedLocation  = "location:default/" + feedName
	instancesFile = "instances.yaml"
	templatesFile = "templates.yaml"
)

// errNoFile names no path: its text is logged, and the path may be the secret.
var errNoFile = provision.Errorf(provision.NotFound, "there is no such file")

// NewFeed is a Feed. A secret that could be guessed or does not fit a path is
// Invalid.
func NewFeed(c FeedConfig) (*Feed, error) {
	if len(c.Secret) < leastSecret || strings.ContainsFunc(c.Secret, func(r rune) bool { return !unreserved(r) }) {
		return nil, provision.Errorf(provision.Invalid, "the feed's secret must have %d or more letters, digits, hyphens and underscores, and nothing else", leastSecret)
	}
	f := &Feed{FeedConfig: c, busy: make(chan struct{}, feedSlots)}
	root := mux.NewRouter()
	root.NotFoundHandler = c.Server.public("unmatched", func(http.ResponseWriter, *http.Request) error { return errNoFile })
	root.MethodNotAllowedHandler = root.NotFoundHandler
	at := func(file string, make func(context.Context) ([]byte, error)) {
		root.Handle("/{secret}/"+file, c.Server.public("GET /feed/"+file, func(w http.ResponseWriter, r *http.Request) error {
			return f.serve(w, r, make)
		})).Methods(http.MethodGet, http.MethodHead)
	}
	at("index.yaml", f.index)
	at(templatesFile, func(context.Context) ([]byte, error) { return c.Templates() })
	at(instancesFile, f.instances)
	f.handler = c.Server.outermost(root)
	return f, nil
}

func unreserved(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// ServeHTTP answers one request.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.handler.ServeHTTP(w, r) }

// HTTPServer is a server for the feed alone, with the limits of the API's.
func (f *Feed) HTTPServer() *http.Server {
	server := f.Server.HTTPServer()
	server.Handler = f
	return server
}

// serve answers a file, or 304 when the reader has it. What cannot be read is
// an error and never an empty file, which would take every entity out of the
// catalog.
func (f *Feed) serve(w http.ResponseWriter, r *http.Request, file func(context.Context) ([]byte, error)) error {
	if subtle.ConstantTimeCompare([]byte(mux.Vars(r)["secret"]), []byte(f.Secret)) != 1 {
		return errNoFile
	}
	select {
	case f.busy <- struct{}{}:
		defer func() { <-f.busy }()
	default:
		return &provision.Error{Kind: provision.Unavailable, Message: "the feed is being read by as many as it can serve; ask again in a second", RetryAfter: time.Second}
	}
	text, err := file(r.Context())
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	if has(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	f.Server.patient(w, time.Minute)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // the reader has left; it reads again
	return nil
}

// has reports whether the reader has what an entity tag names.
func has(r *http.Request, tag string) bool {
	for each := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if each = strings.TrimSpace(each); each == "*" || strings.TrimPrefix(each, "W/") == tag {
			return true
		}
	}
	return false
}

// index is the Location that names the others.
func (f *Feed) index(context.Context) ([]byte, error) {
	return document(map[string]any{
		"apiVersion": "backstage.io/v1alpha1", "kind": "Location",
		"metadata": map[string]any{"name": feedName, "description": "Roadbed's forms, and what was made with them"},
		"spec":     map[string]any{"targets": []string{"./" + templatesFile, "./" + instancesFile}},
	})
}

func (f *Feed) instances(ctx context.Context) ([]byte, error) {
	snapshot, err := f.Server.Reader.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	entities := make([]any, 0, len(snapshot.Instances))
	for _, i := range snapshot.Instances {
		if entity, ok := f.Server.entity(ctx, i); ok && !i.State.Gone() {
			plain, err := plainOf(entity)
			if err != nil {
				return nil, err
			}
			entities = append(entities, plain)
		}
	}
	text, err := document(entities...)
	return append([]byte("# What Roadbed has made.\n"), text...), err
}

// plainOf is an entity by the names that it has as JSON.
func plainOf(entity api.Entity) (plain map[string]any, err error) {
	text, err := json.Marshal(entity)
	if err != nil {
		return nil, fmt.Errorf("encode entity %s: %w", entity.Metadata.Name, err)
	}
	return plain, json.Unmarshal(text, &plain)
}

// document is a stream of YAML documents.
func document(values ...any) ([]byte, error) {
	var text bytes.Buffer
	for _, value := range values {
		text.WriteString("---\n")
		encoder := yaml.NewEncoder(&text)
		encoder.SetIndent(2)
		if err := errors.Join(encoder.Encode(value), encoder.Close()); err != nil {
			return nil, fmt.Errorf("write the feed: %w", err)
		}
	}
	return text.Bytes(), nil
}

// Run tells the catalog of changes, at most once a second, until ctx ends. A
// catalog that cannot be told reads the feed at its own pace.
func (f *Feed) Run(ctx context.Context) error {
	if f.Refresh == nil {
		return nil
	}
	cursor, pause := "", time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		done := func(error) {}
		if f.Begin != nil {
			done = f.Begin()
		}
		next, err := f.follow(ctx, cursor)
		done(nil) // a catalog that cannot be told is no loop that stands still
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			cursor, pause = next, feedPause
			continue
		}
		f.Server.Log.WarnContext(ctx, "catalog was not told of a change; it reads the feed at its own pace", "err", err)
		pause = min(max(2*pause, 5*feedPause), 30*time.Second)
	}
}

// follow waits for changes after a cursor, tells the catalog of them, and
// answers the cursor to go on from; "" is the beginning.
func (f *Feed) follow(ctx context.Context, cursor string) (string, error) {
	if cursor == "" {
		snapshot, err := f.Server.Reader.Snapshot(ctx)
		if err != nil {
			return "", err
		}
		return snapshot.Cursor, f.Refresh(ctx, feedLocation)
	}
	changes, err := f.Server.Reader.Changes(ctx, cursor, feedWait)
	if err != nil && provision.KindOf(err) == provision.Gone {
		return "", nil
	}
	if err != nil || len(changes.Instances) == 0 {
		return cursor, err
	}
	return changes.Cursor, f.Refresh(ctx, feedLocation)
}
