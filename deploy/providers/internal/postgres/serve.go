package postgres

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

// Serve answers Terraform on the standard streams until Terraform is through
// with this process.
func Serve(version string) error {
	return tf6server.Serve(Address, func() tfprotov6.ProviderServer {
		return newStoppable(providerserver.NewProtocol6(New(version)())())
	})
}

// stoppable makes an interrupt last. The plugin library ends the changes that
// are under way when Terraform says stop, and no others; but Terraform may
// have announced a change, and send it a moment later. Without this, such a
// change runs to its end while a person waits for the interrupt.
type stoppable struct {
	tfprotov6.ProviderServer
	stopped context.Context
	stop    context.CancelFunc
}

func newStoppable(inner tfprotov6.ProviderServer) *stoppable {
	stopped, stop := context.WithCancel(context.Background())
	return &stoppable{ProviderServer: inner, stopped: stopped, stop: stop}
}

// StopProvider is called once Terraform has been interrupted. Terraform starts
// nothing new in this process afterwards.
func (s *stoppable) StopProvider(ctx context.Context, req *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	s.stop()
	return s.ProviderServer.StopProvider(ctx, req)
}

// ApplyResourceChange makes a change, with a context that ends when, or has
// ended because, Terraform was interrupted.
func (s *stoppable) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stopped, cancel)()
	return s.ProviderServer.ApplyResourceChange(ctx, req)
}
