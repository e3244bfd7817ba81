package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// catalog follows the entity feed as Backstage's provider does: everything once,
// then what changes; what cannot be read changes nothing.
type catalog struct {
	road *road
	at   *crossing

	mu       sync.Mutex
	entities map[string]api.Entity // by reference
	cursor   string                // "" reads everything
}

// follow is a catalog that follows until the test ends.
func (r *road) follow() *catalog {
	c := &catalog{road: r, at: &crossing{dir: r.dir, times: map[string]int{}}}
	ctx, stop := context.WithCancel(r.t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		for ctx.Err() == nil {
			if err := c.once(ctx); err == nil {
				continue
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // the sidecar is away
			}
		}
	})
	r.t.Cleanup(func() {
		stop()
		following.Wait()
	})
	return c
}

func (c *catalog) client() (*client.Client, error) {
	return client.New(c.road.base(), "", client.TokenSource(func(context.Context) (string, error) {
		return c.road.portal.plugin(c.road.t, "catalog", ""), nil
	}))
}

// once reads one answer of the feed and keeps it.
func (c *catalog) once(ctx context.Context) error {
	feed, err := c.client()
	if err != nil {
		return err
	}
	if c.cursor == "" {
		snapshot, err := feed.Entities(ctx)
		if err == nil && snapshot.Complete {
			c.keep(snapshot.Cursor, snapshot.Entities, nil, true)
		}
		return err
	}
	changes, err := feed.EntityChanges(ctx, c.cursor, 5*time.Second)
	if provision.KindOf(err) == provision.NotFound {
		c.cursor = "" // the changes since then are not kept any more
	}
	if err != nil {
		return err
	}
	over := len(changes.Removed) > 0
	for _, e := range changes.Added {
		over = over || e.Metadata.Annotations["roadbed.dev/phase"] == string(provision.Ready)
	}
	if over {
		if plan, here := c.at.hit("entity after"); here && plan.Kill {
			c.cursor = "" // killed, it has forgotten what it was told
			return nil
		} else if here {
			c.at.stand()
		}
	}
	c.keep(changes.Cursor, changes.Added, changes.Removed, false)
	return nil
}

func (c *catalog) keep(cursor string, added []api.Entity, removed []string, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all || c.entities == nil {
		c.entities = map[string]api.Entity{}
	}
	for _, e := range added {
		c.entities[refOf(e)] = e
	}
	for _, ref := range removed {
		delete(c.entities, ref)
	}
	c.cursor = cursor
}

// current reports whether it has every entity as the feed has them now.
func (c *catalog) current() bool {
	feed, err := c.client()
	if err != nil {
		return false
	}
	snapshot, err := feed.Entities(c.road.t.Context())
	if err != nil {
		return false
	}
	now := map[string]api.Entity{}
	for _, e := range snapshot.Entities {
		now[refOf(e)] = e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Equal(now, c.entities)
}

func refOf(e api.Entity) string {
	return strings.ToLower(e.Kind) + ":" + e.Metadata.Namespace + "/" + e.Metadata.Name
}
