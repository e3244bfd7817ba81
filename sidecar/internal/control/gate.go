package control

import (
	"context"
	"sync"
)

// gate is shut until someone has said, once, that jobs may be offered.
type gate struct {
	mu  sync.Mutex
	ask func(context.Context) error // nil when it is open
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ask == nil {
		return nil
	}
	err := g.ask(ctx)
	if err == nil {
		g.ask = nil
	}
	return err
}
