package httpapi

import "github.com/gorilla/mux"

// Routes is how many routes are served, for tests.
func (s *Server) Routes() int {
	n := 0
	_ = s.routes().Walk(func(*mux.Route, *mux.Router, []*mux.Route) error { n++; return nil }) // never fails
	return n
}

// DecodeStrict is decodeStrict, for tests.
var DecodeStrict = decodeStrict
