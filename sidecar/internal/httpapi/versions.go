package httpapi

import (
	"net/http"

	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) listVersions(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	versions, err := s.Service.Versions(r.Context(), pathText(r, "id"))
	if err != nil {
		return err
	}
	list := api.OfferingVersionList{Items: make([]api.OfferingVersion, len(versions))}
	for i, v := range versions {
		list.Items[i] = versionView(v)
	}
	return writeJSON(w, http.StatusOK, list)
}

// versionStates are the states by the word that asks for them.
var versionStates = map[string]provision.VersionState{
	"publish": provision.Published, "deprecate": provision.Deprecated, "withdraw": provision.Withdrawn,
}

func (s *Server) moveVersion(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	if _, err := idempotencyKey(r, false); err != nil {
		return err
	}
	var body api.VersionMove
	if err := readJSON(w, r, maxBody, true, &body); err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	moved, err := s.Service.MoveVersion(r.Context(), p, pathText(r, "id"), pathText(r, "version"), versionStates[mux.Vars(r)["move"]], reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, versionView(moved))
}

func versionView(v provision.Version) api.OfferingVersion {
	return api.OfferingVersion{
		Offering: v.Offering, Version: v.Version, Digest: v.Digest, State: v.State, Reason: v.Reason,
		By: v.By, At: v.At.UTC(), Instances: v.Instances,
	}
}
