package backstage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// groupsStale is the longest that groups serve, also while userinfo is down.
const groupsStale = 30 * time.Second

// groups asks the auth plugin for the groups of a user whose token does not
// say them, which is Backstage's default.
type groups struct {
	http   *http.Client
	url    string
	fresh  time.Duration
	now    func() time.Time
	log    *slog.Logger
	flight singleflight.Group
	kept   *cache[kept]
}

type kept struct {
	refs      []string
	fetchedAt time.Time
}

func newGroups(client *http.Client, url string, fresh time.Duration, now func() time.Time, log *slog.Logger) *groups {
	return &groups{http: client, url: url, fresh: fresh, now: now, log: log, kept: newCache[kept](maxCached)}
}

// of are the ownership refs of a verified user, sorted, the user's own among them.
func (g *groups) of(ctx context.Context, who identity) ([]string, error) {
	key := digest(sha256.Sum256([]byte(who.user)))
	old, have := g.kept.get(key, g.now())
	if have && g.now().Sub(old.fetchedAt) < g.fresh {
		return old.refs, nil
	}
	answer := g.flight.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		refs, err := g.fetch(ctx, who)
		if err != nil {
			return nil, err
		}
		now := g.now()
		g.kept.put(key, kept{refs, now}, now, now.Add(groupsStale))
		return refs, nil
	})
	select {
	case <-ctx.Done():
		return nil, provision.Unreachable("Backstage", ctx.Err())
	case got := <-answer:
		switch {
		case got.Err == nil:
			return got.Val.([]string), nil
		case have && provision.KindOf(got.Err) == provision.Unavailable:
			g.log.WarnContext(ctx, "groups not refreshed; the old ones serve", "subject", who.subject, "err", got.Err)
			return old.refs, nil
		}
		return nil, got.Err
	}
}

func (g *groups) fetch(ctx context.Context, who identity) ([]string, error) {
	status, body, err := get(ctx, g.http, g.url, who.user)
	if err != nil {
		return nil, provision.Unreachable("Backstage", fmt.Errorf("ask for the groups of %s: %w", who.subject, err))
	}
	switch {
	case status == http.StatusNotFound: // the user is real and has never signed in
		return []string{who.subject}, nil
	case tokenRefused(status):
		return nil, refused("Backstage no longer accepts this token; sign in again")
	case status != http.StatusOK:
		return nil, provision.Unreachable("Backstage", fmt.Errorf("ask for the groups of %s: status %d", who.subject, status))
	}
	var answer struct {
		Claims struct {
			Sub string `json:"sub"`
			Ent []any  `json:"ent"`
		} `json:"claims"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, provision.Unreachable("Backstage", fmt.Errorf("read the groups of %s: %w", who.subject, err))
	}
	if answer.Claims.Sub != who.subject {
		return nil, provision.Unreachable("Backstage", fmt.Errorf("asked for the groups of %s and got those of %q", who.subject, answer.Claims.Sub))
	}
	refs, err := ownership(who.subject, answer.Claims.Ent)
	if err != nil {
		return nil, provision.Unreachable("Backstage", fmt.Errorf("read the groups of %s: %w", who.subject, err))
	}
	return refs, nil
}
