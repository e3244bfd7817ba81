package backstage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// ExaminePipelines looks whether the keys of each issuer can be read, by issuer.
// It blocks for at most 10 s each.
func ExaminePipelines(ctx context.Context, c PipelineConfig) map[string]error {
	found := map[string]error{}
	for _, issuer := range c.Issuers {
		one := PipelineConfig{Issuers: []PipelineIssuer{issuer}}
		p, err := NewPipelines(one, nil, time.Now, slog.New(slog.DiscardHandler))
		if err == nil && issuer.KeysFile == "" {
			err = p.issuers[issuer.Issuer].readable(ctx)
		}
		found[issuer.Issuer] = err
	}
	return found
}

// readable is nil when the issuer's key set can be had and holds a key.
func (i *pipelineIssuer) readable(ctx context.Context) error {
	address, err := i.discover(ctx)
	if err != nil {
		return err
	}
	status, body, err := get(ctx, i.http, address, "")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("its key set: status %d", status)
	}
	keys, err := decodeKeySet(body)
	if err == nil && len(keys) == 0 {
		err = errors.New("its key set holds no key")
	}
	return err
}
