package api_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"roadbed.dev/roadbed/sidecar/api"
)

func TestDocumentIsValid(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
}
