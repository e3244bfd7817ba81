package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Permissions asks the portal's own policy, which may deny what the rules here
// allow.
type Permissions interface {
	// Permitted is nil when the sender of an authenticated Authorization header
	// may do this, Denied when not, and Unavailable when that cannot be found out.
	Permitted(ctx context.Context, authorization string, p provision.Permission) error
}

// The permissions, by what they are about.
var (
	mayRead        = provision.Permission{Name: "roadbed.infrastructure.read", Action: "read"}
	mayCreate      = provision.Permission{Name: "roadbed.instance.create", Action: "create"}
	mayUpdate      = provision.Permission{Name: "roadbed.instance.update", Action: "update"}
	mayDelete      = provision.Permission{Name: "roadbed.instance.delete", Action: "delete"}
	mayApprove     = provision.Permission{Name: "roadbed.request.approve", Action: "update"}
	mayCancel      = provision.Permission{Name: "roadbed.request.cancel", Action: "update"}
	mayOpenSecrets = provision.Permission{Name: "roadbed.credentials.read", Action: "read"}
	mayOperate     = provision.Permission{Name: "roadbed.platform.operate", Action: "update"}
)

// permissions are all that are declared to Backstage.
var permissions = []provision.Permission{mayRead, mayCreate, mayUpdate, mayDelete, mayApprove, mayCancel, mayOpenSecrets, mayOperate}

// permissionFor is what a route asks for. What is not known is the platform's to do.
func permissionFor(method, path string) provision.Permission {
	under := func(prefix string) bool { return strings.HasPrefix(path, prefix+"/") }
	ends := func(suffix string) bool { return strings.HasSuffix(path, "/"+suffix) }
	switch {
	case method == http.MethodGet, ends("estimate"), ends("evaluate"):
		return mayRead
	case ends("approve") && under("/requests"), ends("reject") && under("/requests"):
		return mayApprove
	case ends("cancel"):
		return mayCancel
	case ends("credentials"):
		return mayOpenSecrets
	case ends("destroy"), method == http.MethodDelete && under("/previews"):
		return mayDelete
	case ends("journal"), ends("state/remove"):
		return mayOperate
	case under("/instances"), under("/previews"):
		return mayUpdate
	case path == "/requests", path == "/previews", ends("retry"), ends("databases"):
		return mayCreate
	}
	return mayOperate
}

// permitted is nil when the portal's policy lets the caller do this, or is not
// asked here.
func (s *Server) permitted(r *http.Request, p provision.Permission) error {
	if s.Permissions == nil {
		return nil
	}
	return s.Permissions.Permitted(r.Context(), r.Header.Get("Authorization"), p)
}

// permissionPath declares the permissions to whoever writes the portal's policy.
func (s *Server) permissionPath(root *mux.Router) {
	const path = "/.well-known/backstage/permissions/metadata"
	root.Handle(Base+path, s.unasked(http.MethodGet, path, func(w http.ResponseWriter, _ *http.Request, _ provision.Principal) error {
		metadata := api.PermissionMetadata{Permissions: []api.DeclaredPermission{}, Rules: []map[string]any{}}
		for _, p := range permissions {
			metadata.Permissions = append(metadata.Permissions, api.DeclaredPermission{
				Type: api.Basic, Name: p.Name, Attributes: api.PermissionAttributes{Action: p.Action},
			})
		}
		return writeJSON(w, http.StatusOK, metadata)
	})).Methods(http.MethodGet)
}
