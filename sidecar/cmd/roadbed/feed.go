package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/offering"
)

// feedConfig is what the sidecar is told of the catalog's feed.
type feedConfig struct {
	Listen string `help:"Address to serve the catalog's feed on, for a Backstage without our plugins; empty for none." env:"ROADBED_FEED_LISTEN"`
	Secret string `help:"File with the secret that is part of the feed's paths, 32 characters or more." type:"existingfile" placeholder:"FILE" env:"ROADBED_FEED_SECRET_FILE"`
}

func (c feedConfig) check() error {
	if c.Listen != "" && c.Secret == "" {
		return errors.New("--feed-listen needs --feed-secret, a file whose text is part of the feed's paths")
	}
	return nil
}

// feed is the catalog's feed; nil when there is none.
func (s *sidecar) newFeed(refresh func(context.Context, string) error) (*httpapi.Feed, error) {
	c := s.config.Feed
	if c.Listen == "" {
		return nil, nil
	}
	secret, err := os.ReadFile(c.Secret)
	if err != nil {
		return nil, fmt.Errorf("read the feed's secret: %w", err)
	}
	return httpapi.NewFeed(httpapi.FeedConfig{
		Server: s.api, Secret: strings.TrimSpace(string(secret)), Templates: s.plainForms, Refresh: refresh,
		Begin: s.loops.Watch("feed"),
	})
}

// plainForms are the offerings' forms for a Backstage without our plugins.
func (s *sidecar) plainForms() ([]byte, error) {
	var all []byte
	for _, o := range s.domain.served.Offerings() {
		form, err := offering.PlainTemplate(o)
		if err != nil {
			return nil, err
		}
		all = append(append(all, "---\n"...), form...)
	}
	return all, nil
}

// serveFeed serves the feed and follows what changes, until ctx ends.
func (s *sidecar) serveFeed(ctx context.Context, group *errgroup.Group) error {
	if s.feed == nil {
		return nil
	}
	listener, err := net.Listen("tcp", s.config.Feed.Listen)
	if err != nil {
		return fmt.Errorf("listen for the feed: %w", err)
	}
	group.Go(func() error { return serveHTTP(ctx, listener, s.feed.HTTPServer(), func() {}) })
	group.Go(func() error { return s.feed.Run(ctx) })
	return nil
}
