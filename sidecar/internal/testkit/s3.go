package testkit

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// S3Server puts and gets objects as S3 does, for as long as it is up.
type S3Server struct {
	URL string

	mu      sync.Mutex
	objects map[string][]byte // by path: /bucket/key
	down    bool
}

// S3 starts an S3Server without objects. It ends with the test.
func S3(t testing.TB) *S3Server {
	s := &S3Server{objects: map[string][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Variables are what an AWS client finds it by in its environment.
func (s *S3Server) Variables() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_S3": s.URL, "AWS_ACCESS_KEY_ID": "AKIACANARYOFS3000001", "AWS_SECRET_ACCESS_KEY": "canary-of-the-secret-access-key-s3",
		"AWS_REGION": MotoRegion, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
	}
}

// SetDown has every call refused, or answered again.
func (s *S3Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Objects are the objects by path: /bucket/key.
func (s *S3Server) Objects() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects)
}

// Replace puts other bytes in an object's place, or takes it away with nil.
func (s *S3Server) Replace(path string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[path] = body; body == nil {
		delete(s.objects, path)
	}
}

// ServeHTTP answers PutObject and GetObject.
func (s *S3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	object, there := s.objects[r.URL.Path]
	switch {
	case err != nil, s.down:
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
	case r.Method == http.MethodPut:
		s.objects[r.URL.Path] = body
	case r.Method == http.MethodGet && there:
		_, _ = w.Write(object) // the client is gone; nothing to do
	case r.Method == http.MethodGet:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code></Error>") // as above
}
