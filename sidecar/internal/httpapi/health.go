package httpapi

import (
	"context"
	"net/http"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) liveness(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, api.Health{Status: "ok"})
}

func (s *Server) readiness(w http.ResponseWriter, r *http.Request) error {
	select {
	case <-s.draining:
		return writeJSON(w, http.StatusServiceUnavailable, api.Health{Status: "the service is shutting down"})
	default:
	}
	if s.Ready == nil {
		return writeJSON(w, http.StatusOK, api.Health{Status: "ok"})
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		// Without a token only the kind of trouble is told.
		stateOf(r).err = err
		missing := "something that the service depends on cannot be reached"
		if info, _, _ := explain(err, stateOf(r).id); provision.KindOf(err) == provision.Unavailable {
			missing = info.Message
		}
		return writeJSON(w, http.StatusServiceUnavailable, api.Health{Status: missing})
	}
	status := "ok"
	if s.Note != nil {
		if note := s.Note(); note != "" {
			status += "; " + note
		}
	}
	return writeJSON(w, http.StatusOK, api.Health{Status: status})
}

// keySet serves Roadbed's public keys. It asks nothing of anyone: other plugins
// need it to believe what Roadbed says.
func (s *Server) keySet(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	body := s.KeySet
	if body == nil {
		body = []byte(`{"keys":[]}`)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the caller has left; there is nobody to tell
	return nil
}
