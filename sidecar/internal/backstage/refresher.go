package backstage

import (
	"context"
	"fmt"
	"net/http"
)

// Refresher has Backstage's catalog read locations again. It may be used from
// many goroutines.
type Refresher struct{ caller }

// NewRefresher finds the catalog by discovery and signs with signer.
func NewRefresher(discovery *Discovery, signer *Signer) *Refresher {
	return &Refresher{newCaller(discovery, signer)}
}

// Refresh asks the catalog to process an entity as soon as it can, a location
// by reading it again. It blocks for at most some seconds and may be repeated;
// an entity that the catalog does not know is an error.
func (r *Refresher) Refresh(ctx context.Context, entityRef string) error {
	status, err := r.tell(ctx, "catalog", "/refresh", map[string]string{"entityRef": entityRef})
	if err != nil {
		return err
	}
	if status >= http.StatusMultipleChoices {
		return fmt.Errorf("refresh %s: the catalog answered %d", entityRef, status)
	}
	return nil
}
