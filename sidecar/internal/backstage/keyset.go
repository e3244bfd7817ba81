package backstage

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	fetchTimeout   = 5 * time.Second  // as Backstage's own verifier
	keysFresh      = 10 * time.Minute // then a set is fetched again before use
	keysStale      = time.Hour        // how much longer an old set serves while its source is down
	retryAfterFail = 10 * time.Second // between attempts to refresh a set that still serves
	maxBody        = 1 << 20          // bytes of a key set or of userinfo
	maxSets        = 100
)

// errNoKey says that a set is current and has no such key.
var errNoKey = errors.New("no such key in the key set")

// keySets fetches and keeps the key sets of Backstage's plugins, or of another
// issuer.
type keySets struct {
	of      string // whose they are, for people
	http    *http.Client
	now     func() time.Time
	log     *slog.Logger
	flight  singleflight.Group
	unknown *rate.Limiter // fetches of sets that were never seen: the plugin's name is the caller's word

	mu   sync.Mutex
	sets map[string]*keySet
}

// keySet is what was last fetched from one URL.
type keySet struct {
	keys      []verifyKey
	fetchedAt time.Time
	triedAt   time.Time
	usedAt    time.Time
	forced    *rate.Limiter // refetches for an unknown kid
}

func newKeySets(client *http.Client, now func() time.Time, log *slog.Logger, of string) *keySets {
	return &keySets{
		of: of, http: client, now: now, log: log, sets: map[string]*keySet{},
		unknown: rate.NewLimiter(rate.Every(time.Second), 30),
	}
}

// key is the key at url that verifies a token with this header. It blocks at
// most fetchTimeout. A set that is current and lacks the key is errNoKey; one
// that cannot be had is Unavailable.
func (s *keySets) key(ctx context.Context, url, alg, kid string) (crypto.PublicKey, error) {
	set, known := s.get(url)
	if !known {
		if !s.unknown.AllowN(s.now(), 1) {
			return nil, &provision.Error{Kind: provision.Unavailable, Message: "too many unknown plugins have called at once; ask again shortly", RetryAfter: 2 * time.Second}
		}
		fetched, err := s.fetch(ctx, url)
		if err != nil {
			return nil, err
		}
		return fetched.find(alg, kid)
	}
	age := s.now().Sub(set.fetchedAt)
	if public, err := set.find(alg, kid); err == nil {
		if age < keysFresh || s.now().Sub(set.triedAt) < retryAfterFail && age < keysFresh+keysStale {
			return public, nil
		}
		fetched, err := s.fetch(ctx, url)
		switch {
		case err == nil:
			return fetched.find(alg, kid)
		case age < keysFresh+keysStale:
			s.log.WarnContext(ctx, "key set not refreshed; the old one serves", "url", url, "age", age.Round(time.Second), "err", err)
			return public, nil
		}
		return nil, err
	}
	if !set.forced.AllowN(s.now(), 1) {
		return nil, &provision.Error{Kind: provision.Unavailable, Message: "this token's key is new and cannot be fetched yet; ask again shortly", RetryAfter: 6 * time.Second}
	}
	fetched, err := s.fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	return fetched.find(alg, kid)
}

func (s keySet) find(alg, kid string) (crypto.PublicKey, error) {
	for _, k := range s.keys {
		if k.serves(alg, kid) {
			return k.public, nil
		}
	}
	return nil, errNoKey
}

func (s *keySets) get(url string) (keySet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.sets[url]
	if !ok {
		return keySet{}, false
	}
	set.usedAt = s.now()
	return *set, true
}

// fetch reads the set once for all who wait for it.
func (s *keySets) fetch(ctx context.Context, url string) (keySet, error) {
	answer := s.flight.DoChan(url, func() (any, error) {
		// The fetch serves everyone who waits, so one caller's leaving does not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		keys, err := s.read(ctx, url)
		if err != nil {
			s.tried(url)
			return keySet{}, err
		}
		return s.put(url, keys), nil
	})
	select {
	case <-ctx.Done():
		return keySet{}, provision.Unreachable("the key set of "+s.of, ctx.Err())
	case got := <-answer:
		if got.Err != nil {
			return keySet{}, got.Err
		}
		return got.Val.(keySet), nil
	}
}

func (s *keySets) read(ctx context.Context, url string) ([]verifyKey, error) {
	status, body, err := get(ctx, s.http, url, "")
	if err != nil {
		return nil, provision.Unreachable("the key set of "+s.of, fmt.Errorf("fetch key set %s: %w", url, err))
	}
	if status == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", url, errNoKey)
	}
	if status != http.StatusOK {
		return nil, provision.Unreachable("the key set of "+s.of, fmt.Errorf("fetch key set %s: status %d", url, status))
	}
	keys, err := decodeKeySet(body)
	if err != nil {
		return nil, provision.Unreachable("the key set of "+s.of, fmt.Errorf("fetch key set %s: %w", url, err))
	}
	return keys, nil
}

func (s *keySets) tried(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.sets[url]; ok {
		set.triedAt = s.now()
	}
}

func (s *keySets) put(url string, keys []verifyKey) keySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, ok := s.sets[url]
	if !ok {
		if len(s.sets) >= maxSets {
			s.evict()
		}
		set = &keySet{forced: rate.NewLimiter(rate.Every(6*time.Second), 10), usedAt: s.now()}
		s.sets[url] = set
	}
	set.keys, set.fetchedAt, set.triedAt = keys, s.now(), s.now()
	return *set
}

// evict drops the set that was used longest ago.
func (s *keySets) evict() {
	oldest := ""
	for url, set := range s.sets {
		if oldest == "" || set.usedAt.Before(s.sets[oldest].usedAt) {
			oldest = url
		}
	}
	delete(s.sets, oldest)
}

// get reads url, at most maxBody of it. bearer may be empty.
func get(ctx context.Context, client *http.Client, url, bearer string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return 0, nil, err
	}
	if len(body) > maxBody {
		return 0, nil, fmt.Errorf("the answer is larger than %d bytes", maxBody)
	}
	return res.StatusCode, body, nil
}

// newHTTPClient is a client that never follows a redirect to another host, so
// that a plugin's answer cannot name someone else's keys.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16
	return &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) >= 5 {
				return errors.New("too many redirects")
			}
			if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
				return fmt.Errorf("redirect to another host, %s, refused", req.URL.Host)
			}
			return nil
		},
	}
}
