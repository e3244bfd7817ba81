package httpapi

import (
	"context"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// expectedView is a request as the API shows it, with when it will have
// succeeded and which of its steps have stalled.
func (s *Server) expectedView(ctx context.Context, r provision.Request, p provision.Principal) (api.Request, error) {
	view := s.requestView(r, p, s.Now())
	e, err := s.Service.Expect(ctx, p, r)
	if err != nil || e == nil {
		return view, err
	}
	view.Expected = &api.Expected{
		By: e.By, P50Seconds: inSeconds(e.Half), P90Seconds: inSeconds(e.Ninety), Basis: e.Basis, Late: e.Late, Message: e.Message,
	}
	for _, stall := range e.Stalls {
		view.Steps[stall.Step-1].Stalled = &api.Stalled{
			AfterSeconds: stall.After.Seconds(), Basis: stall.Basis, Message: stall.String(), LastLine: stall.Last,
		}
	}
	return view, nil
}

func inSeconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}
