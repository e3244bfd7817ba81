package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// maxState is the largest sealed state that is kept, in bytes.
const maxState = 64 << 20

// maxSealedPlan is the largest sealed plan that waits for approval, in bytes.
const maxSealedPlan = 16 << 20

var bundleDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (s *Server) viewRun(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	view, err := s.Runs.View(r.Context(), c.pool, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (s *Server) claimRun(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	claim, err := s.Runs.Claim(r.Context(), c.pool, c.worker, id)
	if err != nil {
		return err
	}
	if claim.Tags == nil {
		claim.Tags = map[string]string{}
	}
	claim.StateRecipients = orEmpty(claim.StateRecipients)
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, claim)
}

// held is the run in the path, which must be of the worker's pool, and the token
// that the worker holds it by.
func (s *Server) held(r *http.Request, c caller) (uuid.UUID, string, error) {
	id, err := pathID(r)
	if err != nil {
		return uuid.Nil, "", err
	}
	if c.runToken == "" {
		return uuid.Nil, "", provision.Errorf(provision.Unauthenticated, "the header Roadbed-Run-Token is missing; claim the run to get one")
	}
	if _, err := s.Runs.View(r.Context(), c.pool, id); err != nil {
		return uuid.Nil, "", err
	}
	return id, c.runToken, nil
}

func (s *Server) renewRun(w http.ResponseWriter, r *http.Request, c caller) error {
	id, token, err := s.held(r, c)
	if err != nil {
		return err
	}
	lease, err := s.Runs.Renew(r.Context(), id, token)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, lease)
}

func (s *Server) releaseRun(w http.ResponseWriter, r *http.Request, c caller) error {
	id, token, err := s.held(r, c)
	if err != nil {
		return err
	}
	if err := s.Runs.Release(r.Context(), id, token); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) judgePlan(w http.ResponseWriter, r *http.Request, c caller) error {
	id, token, err := s.held(r, c)
	if err != nil {
		return err
	}
	var plan api.Plan
	if err := readJSON(w, r, maxPlan, false, &plan); err != nil {
		return err
	}
	if plan.Changes == nil {
		return provision.Errorf(provision.Invalid, "the member changes is missing; a plan without changes has an empty list")
	}
	err = s.Runs.Plan(r.Context(), id, token, plan.Changes)
	if err != nil && !errors.Is(err, provision.ErrWait) {
		return err
	}
	return writeJSON(w, http.StatusOK, api.GoOn{Wait: err != nil})
}

func (s *Server) getPlan(w http.ResponseWriter, r *http.Request, c caller) error {
	id, token, err := s.held(r, c)
	if err != nil {
		return err
	}
	sealed, err := s.Runs.KeptPlan(r.Context(), id, token)
	if err != nil {
		return err
	}
	return s.writeBytes(w, "application/octet-stream", sealed)
}

func (s *Server) keepPlan(w http.ResponseWriter, r *http.Request, c caller) error {
	id, token, err := s.held(r, c)
	if err != nil {
		return err
	}
	sealed, err := readSealed(w, r, "plan", maxSealedPlan)
	if err != nil {
		return err
	}
	if err := s.Runs.KeepPlan(r.Context(), id, token, sealed); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) getState(w http.ResponseWriter, r *http.Request, c caller) error {
	id, token, err := s.held(r, c)
	if err != nil {
		return err
	}
	version, err := s.Runs.LatestState(r.Context(), id, token)
	if err != nil {
		return err
	}
	w.Header().Set("Roadbed-State-Serial", strconv.FormatInt(version.Serial, 10))
	w.Header().Set("Roadbed-State-Lineage", version.Lineage)
	return s.writeBytes(w, "application/octet-stream", version.Sealed)
}

func (s *Server) pushState(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	version := provision.StateVersion{RunID: id, Lineage: r.Header.Get("Roadbed-State-Lineage")}
	if version.Serial, err = number(r, "Roadbed-State-Serial", 0); err != nil {
		return err
	}
	if version.Fence, err = number(r, "Roadbed-Fence", 1); err != nil {
		return err
	}
	if version.Lineage == "" || len(version.Lineage) > 255 || !utf8.ValidString(version.Lineage) {
		return provision.Errorf(provision.Invalid, "the header Roadbed-State-Lineage must be the state's lineage, at most 255 bytes of text")
	}
	if version.Sealed, err = readSealed(w, r, "state", maxState); err != nil {
		return err
	}
	head, err := s.Runs.PushState(r.Context(), c.pool, version)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.StateKept{Head: head})
}

// readSealed is a body of bytes, what it is in words.
func readSealed(w http.ResponseWriter, r *http.Request, what string, limit int64) ([]byte, error) {
	unhurried(w)
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), 1<<20)))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refusal{fault: tooLarge, message: "the " + what + " is larger than " + size(limit)}
	case err != nil:
		return nil, provision.Errorf(provision.Invalid, "the %s could not be read to its end", what)
	case body.Len() == 0:
		return nil, provision.Errorf(provision.Invalid, "the %s is empty", what)
	}
	return body.Bytes(), nil
}

// unhurried lets a large body over a slow line take longer than a small one may.
// Without a connection's own limits the server's hold.
func unhurried(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(2 * time.Minute))
	_ = control.SetWriteDeadline(time.Now().Add(3 * time.Minute))
}

func number(r *http.Request, header string, least int64) (int64, error) {
	n, err := strconv.ParseInt(r.Header.Get(header), 10, 64)
	if err != nil || n < least {
		return 0, provision.Errorf(provision.Invalid, "the header %s must be a whole number of at least %d", header, least)
	}
	return n, nil
}

func (s *Server) getBundle(w http.ResponseWriter, r *http.Request, _ caller) error {
	digest := pathText(r, "digest")
	if !bundleDigest.MatchString(digest) {
		return provision.Errorf(provision.Invalid, "%s is not the digest of an offering", quoted(digest))
	}
	tag := `"` + digest + `"`
	if r.Header.Get("If-None-Match") == tag {
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	_, bundle, err := s.Reader.Bundle(r.Context(), digest)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	return s.writeBytes(w, "application/gzip", bundle)
}

func (s *Server) writeBytes(w http.ResponseWriter, kind string, body []byte) error {
	s.patient(w, 3*time.Minute)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = io.Copy(w, bytes.NewReader(body)) // the worker has left; it asks again
	return nil
}
