package postgres

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// recorder is the part of a provider server that a change reaches.
type recorder struct {
	tfprotov6.ProviderServer
	err error
}

func (r *recorder) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (r *recorder) ApplyResourceChange(ctx context.Context, _ *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	r.err = wait(ctx, "10m")
	return nil, nil
}

func TestAChangeThatComesAfterTheInterruptIsInterruptedToo(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := newStoppable(r)
	if _, err := s.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{}); err != nil {
		t.Fatal(err)
	}
	if r.err == nil {
		t.Error("the change was not interrupted")
	}
}
