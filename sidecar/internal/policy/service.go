package policy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ServiceConfig is where policies are served, by OPA's bundle API:
// https://www.openpolicyagent.org/docs/management-bundles.
type ServiceConfig struct {
	LiveConfig        // Files is not used
	URL        string // of the bundle itself
	TokenFile  string // a bearer token, read anew for each poll; "" for none
	Key        *Key   // nil takes bundles that are not signed, and only those
	Cache      string // folder that keeps the last good bundle; "" for none
	// Client is nil for one that gives up after a minute.
	Client *http.Client
}

// Service is the policies that a bundle service serves. While it has never given
// good ones, nor the cache holds any, every question is answered Unavailable.
type Service struct {
	*Live
	config ServiceConfig
	etag   string // of what was received last
}

// NewService starts with what the cache holds; it asks nobody yet.
func NewService(c ServiceConfig) *Service {
	s := &Service{Live: newLive(c.LiveConfig), config: c}
	if s.config.Client == nil {
		s.config.Client = &http.Client{Timeout: time.Minute}
	}
	if c.Cache == "" {
		return s
	}
	archive, err := os.ReadFile(s.cached())
	if errors.Is(err, os.ErrNotExist) {
		return s
	}
	var src source
	if err == nil {
		src, err = readArchive(archive, c.Key)
	}
	if err != nil {
		c.Log.Warn("cached policies cannot be used", "err", err)
		return s
	}
	s.take(context.Background(), src)
	return s
}

func (s *Service) cached() string { return filepath.Join(s.config.Cache, "bundle.tar.gz") }

// Run polls until ctx ends, about every interval, and then returns nil. While
// the service does not answer it is asked after a second, two, four, and so on
// up to the interval. Each wait is off by up to a quarter, so that replicas do
// not ask all at once.
func (s *Service) Run(ctx context.Context, interval time.Duration) error {
	failures := 0
	for {
		wait := interval
		done := s.begin()
		_, err := s.Poll(ctx)
		done(nil) // a service that is away is no loop that stands still
		if err != nil && ctx.Err() == nil {
			wait = min(interval, time.Second<<min(failures, 12))
			failures++
			s.log.Warn("policy bundle not received", "err", err)
		} else {
			failures = 0
		}
		wait += time.Duration((rand.Float64() - 0.5) / 2 * float64(wait))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Poll asks once and takes a bundle that is new and good; Err is then nil. It
// reports whether another bundle is in force than before; the error is only
// that the service did not answer. One goroutine at a time may call it.
func (s *Service) Poll(ctx context.Context) (replaced bool, err error) {
	archive, etag, err := s.download(ctx)
	if err != nil || archive == nil {
		return false, err
	}
	src, err := readArchive(archive, s.config.Key)
	if err != nil {
		s.etag = etag
		s.refuse(etag+err.Error(), err)
		return false, nil
	}
	replaced = s.take(ctx, src)
	if ctx.Err() != nil {
		return replaced, ctx.Err() // it was not looked at, and is to come again
	}
	s.etag = etag
	if s.Err() == nil {
		s.keep(archive)
	}
	return replaced, nil
}

// download is the bundle and its ETag; nil when it has not changed.
func (s *Service) download(ctx context.Context) (archive []byte, etag string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.URL, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Prefer", "modes=snapshot")
	if s.etag != "" {
		req.Header.Set("If-None-Match", s.etag)
	}
	if s.config.TokenFile != "" {
		token, err := os.ReadFile(s.config.TokenFile)
		if err != nil {
			return nil, "", fmt.Errorf("read the policy bundle token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	res, err := s.config.Client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusNotModified:
		return nil, "", nil
	case http.StatusOK:
	default:
		return nil, "", fmt.Errorf("the policy bundle service answered %s", res.Status)
	}
	archive, err = io.ReadAll(io.LimitReader(res.Body, maxArchive+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("receive the policy bundle: %w", err)
	case len(archive) > maxArchive:
		return nil, "", fmt.Errorf("the policy bundle is larger than %d MiB", maxArchive>>20)
	}
	return archive, res.Header.Get("ETag"), nil
}

// keep writes the bundle that is in force to the cache, whole or not at all.
func (s *Service) keep(archive []byte) {
	if s.config.Cache == "" {
		return
	}
	if kept, err := os.ReadFile(s.cached()); err == nil && bytes.Equal(kept, archive) {
		return
	}
	err := os.MkdirAll(s.config.Cache, 0o700)
	if err == nil {
		err = replaceFile(s.cached(), archive)
	}
	if err != nil {
		s.log.Error("policies not cached; a restart without the service would have none", "err", err)
	}
}

func replaceFile(name string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".bundle-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // once renamed it is no longer there
	_, err = file.Write(content)
	if err = cmp.Or(err, file.Sync()); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}
