package main

import (
	"context"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// versionsInterval is how often a sidecar looks what others have published.
const versionsInterval = 2 * time.Second

// makeVersionsKnown makes the folder's versions known, and reads which of all
// are published.
func (s *sidecar) makeVersionsKnown(ctx context.Context) error {
	state := provision.Published
	if s.config.Publish == "manual" {
		state = provision.Draft
	}
	for _, o := range s.domain.catalog.Offerings() {
		if err := s.store.KnowVersion(ctx, o, state); err != nil {
			return err
		}
	}
	return s.domain.publication.Refresh(ctx, s.store)
}

// followVersions keeps what is published as people and other sidecars have it,
// until ctx ends. While the database is away it stays what it was.
func (s *sidecar) followVersions(ctx context.Context) error {
	tick := time.NewTicker(versionsInterval)
	defer tick.Stop()
	begin := s.loops.Watch("offering versions")
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		done := begin()
		err := s.domain.publication.Refresh(ctx, s.store)
		done(err)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("published versions not read; those read before are served", "err", err)
		}
	}
}
