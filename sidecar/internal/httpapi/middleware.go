package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// state is what is known of a request while it is answered, for its log line
// and its metrics. The handler's goroutine alone uses it.
type state struct {
	id      string
	route   string
	subject string
	trace   string // its trace's id, "" when it has none
	err     error
}

type stateKey struct{}

func stateOf(r *http.Request) *state {
	if s, ok := r.Context().Value(stateKey{}).(*state); ok {
		return s
	}
	return &state{}
}

// recorder remembers the status that was written.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// outermost gives each request an id, a log line and its metrics, and turns a
// panic into an answer.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		st := &state{id: r.Header.Get("X-Request-Id"), route: "unmatched"}
		if !requestID.MatchString(st.id) {
			st.id = provision.NewID().String()
		}
		r = r.WithContext(context.WithValue(r.Context(), stateKey{}, st))
		rec := &recorder{ResponseWriter: w}
		rec.Header().Set("X-Request-Id", st.id)
		defer func() {
			cause := recover()
			if cause != nil && cause != http.ErrAbortHandler {
				s.Log.ErrorContext(r.Context(), "handler panicked", "call_id", st.id, "route", st.route, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
				if rec.status == 0 {
					s.answer(rec, r, fmt.Errorf("panic: %v", cause))
					cause = nil
				}
			}
			s.record(r, st, rec.status, time.Since(started))
			if cause != nil {
				panic(http.ErrAbortHandler) // cuts the connection: the answer is not whole
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

func (s *Server) record(r *http.Request, st *state, status int, took time.Duration) {
	s.Metrics.observe(st.route, status, took)
	level := slog.LevelDebug
	switch {
	case status >= http.StatusInternalServerError && provision.KindOf(st.err) == provision.Internal:
		level = slog.LevelError
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case r.Method != http.MethodGet:
		level = slog.LevelInfo
	}
	if r.Context().Err() != nil && level == slog.LevelWarn {
		level = slog.LevelInfo // the caller hung up: whatever that cut short is not down
	}
	// request_id is the domain's, in every log; an HTTP request is a call.
	fields := []any{"call_id", st.id, "route", st.route, "status", status, "duration_ms", took.Milliseconds()}
	if st.subject != "" {
		fields = append(fields, "subject", st.subject)
	}
	if st.trace != "" {
		fields = append(fields, "trace_id", st.trace)
	}
	if st.err != nil {
		fields = append(fields, "err", st.err)
	}
	s.Log.Log(r.Context(), level, "request answered", fields...)
}

// public serves a route that needs no token and no slot: keys and health must
// answer when all else is busy.
func (s *Server) public(route string, h handler) http.Handler {
	next := s.handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := legible(r.URL); err != nil {
			return err
		}
		return h(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stateOf(r).route = route
		next(w, r)
	})
}

// asked answers a request whose sender is known.
type asked func(w http.ResponseWriter, r *http.Request, p provision.Principal) error

// private serves a route to whoever may do it by the portal's own policy, too.
func (s *Server) private(method, path string, h asked) http.Handler {
	permission := permissionFor(method, path)
	return s.unasked(method, path, func(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
		if err := s.permitted(r, permission); err != nil {
			return err
		}
		return h(w, r, p)
	})
}

// unasked is private for what the portal's policy is not asked about.
func (s *Server) unasked(method, path string, h asked) http.Handler {
	class := classOf(method, path)
	return s.public(method+" "+path, func(w http.ResponseWriter, r *http.Request) error {
		vacate, err := s.enter(class)
		if err != nil {
			return err
		}
		defer vacate()
		p, err := s.Auth.Authenticate(r.Context(), r.Header.Get("Authorization"))
		if err != nil {
			return err
		}
		stateOf(r).subject = p.Subject
		if err := s.meter(class, p.Subject); err != nil {
			return err
		}
		end, err := s.hold(class, p.Subject)
		if err != nil {
			return err
		}
		release := sync.OnceFunc(func() {
			end()
			vacate()
		})
		defer release()
		return h(w, r.WithContext(context.WithValue(r.Context(), releaseKey{}, release)), p)
	})
}

type releaseKey struct{}

// leave gives the request's slot back early: a stream waits, it does not work.
func leave(r *http.Request) {
	if release, ok := r.Context().Value(releaseKey{}).(func()); ok {
		release()
	}
}

// pool is a worker pool and the digest of one of its tokens.
type pool struct {
	digest [sha256.Size]byte
	name   string
}

func readPools(digests map[string]string) ([]pool, error) {
	var pools []pool
	for text, name := range digests {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size || name == "" {
			return nil, provision.Errorf(provision.Invalid, "the token of worker pool %q is not given as a SHA-256 in hex", name)
		}
		pools = append(pools, pool{[sha256.Size]byte(sum), name})
	}
	return pools, nil
}

// PoolTokenDigest is how Config.Pools names a pool's token.
func PoolTokenDigest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// caller is a worker that has shown its pool's token.
type caller struct {
	pool, worker string
	runToken     string // as it was sent; the service judges it
}

var workerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

type worked func(w http.ResponseWriter, r *http.Request, c caller) error

func (s *Server) worker(route string, h worked) http.Handler {
	return s.public(route, func(w http.ResponseWriter, r *http.Request) error {
		vacate, err := s.enter(works)
		if err != nil {
			return err
		}
		defer vacate()
		c, err := s.workerOf(r)
		if err != nil {
			return err
		}
		stateOf(r).subject = "worker:" + c.pool + "/" + c.worker
		// A worker chooses its name; the pool is what its token shows.
		if err := s.meter(works, "pool "+c.pool); err != nil {
			return err
		}
		drop, err := s.carry(r)
		if err != nil {
			return err
		}
		defer drop()
		return h(w, r, c)
	})
}

func (s *Server) workerOf(r *http.Request) (caller, error) {
	token, ok := bearerToken(r)
	if !ok {
		return caller{}, provision.Errorf(provision.Unauthenticated, "Missing credentials")
	}
	// Every pool is compared, so that the time tells nothing of any.
	sum, name := sha256.Sum256([]byte(token)), ""
	for _, p := range s.pools {
		if subtle.ConstantTimeCompare(sum[:], p.digest[:]) == 1 {
			name = p.name
		}
	}
	if name == "" {
		return caller{}, provision.Errorf(provision.Unauthenticated, "this is not the token of a worker pool")
	}
	worker := r.Header.Get("Roadbed-Worker")
	if !workerName.MatchString(worker) {
		return caller{}, provision.Errorf(provision.Invalid, "the header Roadbed-Worker must be the worker's name: up to 63 letters, digits, dots, hyphens and underscores")
	}
	return caller{pool: name, worker: worker, runToken: r.Header.Get("Roadbed-Run-Token")}, nil
}

func bearerToken(r *http.Request) (string, bool) {
	const scheme = "Bearer "
	header := r.Header.Get("Authorization")
	if len(header) <= len(scheme) || header[:len(scheme)] != scheme {
		return "", false
	}
	return header[len(scheme):], true
}

// pathID is the UUID in the path, in its usual form.
func pathID(r *http.Request) (uuid.UUID, error) {
	return parseID(mux.Vars(r)["id"])
}
