package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"roadbed.dev/roadbed/sidecar/api"
)

// contract fails the test when an answer is not as openapi.yaml says, a member
// more than it says included.
type contract struct {
	t      testing.TB
	router routers.Router
	doc    *openapi3.T
}

// document is openapi.yaml made strict: an object has the members that it
// names and no other.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	closed := false
	for _, schema := range doc.Components.Schemas {
		flatten(schema.Value)
		if len(schema.Value.Properties) > 0 && schema.Value.AdditionalProperties.Schema == nil && schema.Value.AdditionalProperties.Has == nil {
			schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
		}
	}
	plain := func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		text, err := io.ReadAll(body)
		return string(text), err
	}
	for _, kind := range []string{"text/event-stream", "application/gzip", "application/octet-stream"} {
		openapi3filter.RegisterBodyDecoder(kind, plain)
	}
	return doc, doc.Validate(context.Background())
})

// flatten makes one object of one that is put together from several, which
// could not each have no other members.
func flatten(schema *openapi3.Schema) {
	if len(schema.AllOf) < 2 {
		return
	}
	schema.Type, schema.Properties = &openapi3.Types{openapi3.TypeObject}, openapi3.Schemas{}
	for _, part := range schema.AllOf {
		maps.Copy(schema.Properties, part.Value.Properties)
		schema.Required = append(schema.Required, part.Value.Required...)
	}
	schema.AllOf = nil
}

func newContract(t testing.TB) *contract {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{t, router, doc}
}

// wrap holds every answer of next against the document as it passes.
func (c *contract) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Clone(context.WithoutCancel(r.Context()))
		seen := &tee{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r) // a cut connection passes by here as a panic
		streamed := strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream")
		if err := c.check(asked, seen, streamed); err != nil {
			c.t.Errorf("%s %s answered %d, not as openapi.yaml says: %v\n%s", r.Method, r.URL.Path, seen.status, err, seen.body.String())
		}
	})
}

// tee keeps a copy of an answer.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (c *contract) check(req *http.Request, res *tee, streamed bool) error {
	body := res.body.Bytes()
	relative := req.Clone(req.Context())
	relative.URL.Host, relative.URL.Scheme, relative.Host = "", "", ""
	route, params, err := c.router.FindRoute(relative)
	if err != nil {
		if res.status != http.StatusNotFound && res.status != http.StatusMethodNotAllowed {
			return fmt.Errorf("the route is not described: %w", err)
		}
		return c.schema("ErrorBody", body)
	}
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: relative, PathParams: params, Route: route},
		Status:                 res.status, Header: res.Header(), Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: streamed},
	})
}

// schema holds a JSON text against one schema of the document.
func (c *contract) schema(name string, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	return c.doc.Components.Schemas[name].Value.VisitJSON(value)
}
