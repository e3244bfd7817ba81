package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
)

// pipelines lets CI in before next, where a file says whose.
func (c sidecarConfig) pipelines(next httpapi.Authenticator, log *slog.Logger) (httpapi.Authenticator, error) {
	if c.Pipelines == "" {
		return next, nil
	}
	text, err := os.ReadFile(c.Pipelines)
	if err != nil {
		return nil, fmt.Errorf("read pipelines: %w", err)
	}
	config, err := backstage.ParsePipelines(text)
	if err != nil {
		return nil, err
	}
	return backstage.NewPipelines(config, next, time.Now, log)
}
