package postgres

import (
	"sync"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// hub tells this process what it has committed. It is a hint: another replica's
// commits are found by polling.
type hub struct {
	mu       sync.RWMutex
	hooks    []func([]provision.Event)
	watchers map[uuid.UUID]map[chan struct{}]struct{} // uuid.Nil watches everything
}

// OnCommit calls hook after each commit of this process with the events that it
// told, in order. The hook must not block; it runs on the caller's goroutine.
// Two commits of one request may call it in either order.
func (s *Store) OnCommit(hook func([]provision.Event)) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.hooks = append(s.hub.hooks, hook)
}

// Watch is a channel that receives after this process has committed events of
// the subject (of any, for uuid.Nil), or log lines of the request; several commits may be one receive. Call
// stop to end it; it may be called twice.
func (s *Store) Watch(subjectID uuid.UUID) (woken <-chan struct{}, stop func()) {
	bell := make(chan struct{}, 1)
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.hub.watchers == nil {
		s.hub.watchers = map[uuid.UUID]map[chan struct{}]struct{}{}
	}
	if s.hub.watchers[subjectID] == nil {
		s.hub.watchers[subjectID] = map[chan struct{}]struct{}{}
	}
	s.hub.watchers[subjectID][bell] = struct{}{}
	return bell, func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		delete(s.hub.watchers[subjectID], bell)
		if len(s.hub.watchers[subjectID]) == 0 {
			delete(s.hub.watchers, subjectID)
		}
	}
}

// committed tells hooks and watchers.
func (h *hub) committed(events []provision.Event) {
	if len(events) == 0 {
		return
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	h.ring(uuid.Nil)
	for i, event := range events {
		if i == 0 || events[i-1].SubjectID != event.SubjectID {
			h.ring(event.SubjectID)
		}
	}
	for _, hook := range h.hooks {
		hook(events)
	}
}

// logged tells who watches a request that its log has grown.
func (h *hub) logged(requestID uuid.UUID) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	h.ring(requestID)
}

// ring wakes a subject's watchers; one that has not looked yet need not be told
// twice. The caller holds the lock.
func (h *hub) ring(subjectID uuid.UUID) {
	for bell := range h.watchers[subjectID] {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}
