package backstage

import (
	"crypto/sha256"
	"sync"
	"time"
)

// digest names a token in a cache without keeping the token.
type digest [sha256.Size]byte

// cache keeps values until they expire, at most max of them. When it is full,
// expired ones go first and then some at random: a map's order is random
// enough, and no caller can choose whose entry is lost.
type cache[V any] struct {
	mu      sync.Mutex
	max     int
	entries map[digest]cached[V]
}

type cached[V any] struct {
	value     V
	expiresAt time.Time
}

func newCache[V any](max int) *cache[V] {
	return &cache[V]{max: max, entries: map[digest]cached[V]{}}
}

func (c *cache[V]) get(key digest, now time.Time) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || !now.Before(e.expiresAt) {
		var none V
		return none, false
	}
	return e.value, true
}

func (c *cache[V]) put(key digest, value V, now, expiresAt time.Time) {
	if !now.Before(expiresAt) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; !ok && len(c.entries) >= c.max {
		c.shrink(now)
	}
	c.entries[key] = cached[V]{value, expiresAt}
}

// shrink makes room for at least a tenth, so that a full cache is not walked
// for every new entry.
func (c *cache[V]) shrink(now time.Time) {
	for key, e := range c.entries {
		if !now.Before(e.expiresAt) {
			delete(c.entries, key)
		}
	}
	for key := range c.entries {
		if len(c.entries) <= c.max*9/10 {
			return
		}
		delete(c.entries, key)
	}
}
