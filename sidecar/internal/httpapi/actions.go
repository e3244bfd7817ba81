package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Roadbed's actions, by the protocol with which a Backstage plugin offers
// actions to others: steps of a template, and tools of an agent, without a line
// of TypeScript. Backstage asks for the list with every step of every template,
// without a time limit, so the list is made once and answered from memory. It
// loses the words of an error, so whatever is an answer to a person (a denial, a
// conflict, a fault of what was given) is an outcome with status 200.

// action is one of Roadbed's actions. Its id is "roadbed:" and its name.
type action struct {
	name, title, description string
	readOnly                 bool // changes nothing: Backstage runs it in a dry run, too
	destructive              bool
	idempotent               bool
	may                      provision.Permission // what the portal's policy is asked for it
	input, output            schema
	run                      func(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error)
}

// actionPlugin is the plugin that the actions are of.
const actionPlugin = "roadbed"

// actionList is the list as it is answered.
func actionList() (json.RawMessage, error) {
	list := api.ActionList{Actions: []api.OfferedAction{}}
	for _, a := range actions {
		list.Actions = append(list.Actions, api.OfferedAction{
			Id: actionPlugin + ":" + a.name, Name: a.name, Title: a.title, Description: a.description, PluginId: actionPlugin,
			Attributes: api.ActionAttributes{Destructive: a.destructive, Idempotent: a.idempotent, ReadOnly: a.readOnly},
			Schema:     api.ActionSchemas{Input: a.input, Output: a.output},
		})
	}
	return json.Marshal(list)
}

// listWithin is how long the list may wait for whoever says who is asking. A
// list that fails costs a Backstage our actions for one step; one that hangs
// stops every template there.
const listWithin = 2 * time.Second

func (s *Server) actionPaths(root *mux.Router) {
	const base = Base + "/.backstage/actions"
	quick := func(path string, h asked) {
		within := s.unasked(http.MethodGet, path, h)
		root.HandleFunc(base+path, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), listWithin)
			defer cancel()
			within.ServeHTTP(w, r.WithContext(ctx))
		}).Methods(http.MethodGet)
	}
	quick("/v1/actions", func(w http.ResponseWriter, _ *http.Request, _ provision.Principal) error {
		return writeJSON(w, http.StatusOK, s.actions)
	})
	quick("/v1/status", func(w http.ResponseWriter, _ *http.Request, _ provision.Principal) error {
		return writeJSON(w, http.StatusOK, api.ActionsStatus{HasActions: true})
	})
	invoke := func(path string, input func(w http.ResponseWriter, r *http.Request) ([]byte, error)) {
		root.Handle(base+path, s.unasked(http.MethodPost, path, func(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
			return s.invoke(w, r, p, input)
		})).Methods(http.MethodPost)
	}
	invoke("/v1/actions/{action}/invoke", bareInput)
	invoke("/v2/actions/{action}/invoke", inputWithSecrets)
}

func (s *Server) invoke(w http.ResponseWriter, r *http.Request, p provision.Principal, read func(http.ResponseWriter, *http.Request) ([]byte, error)) error {
	id := pathText(r, "action")
	for _, a := range actions {
		if actionPlugin+":"+a.name != id {
			continue
		}
		input, err := read(w, r)
		if err != nil {
			return err
		}
		if err := s.permitted(r, a.may); err != nil {
			refused, err := s.refusedOutcome(err)
			if err != nil {
				return err
			}
			return writeJSON(w, http.StatusOK, map[string]any{"output": refused})
		}
		output, err := a.run(r.Context(), s, p, input)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, map[string]any{"output": output})
	}
	return provision.Errorf(provision.NotFound, "Action %s not found", quoted(id))
}

// bareInput is the first version's body: the input alone.
func bareInput(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var input json.RawMessage
	err := readJSON(w, r, maxBody, false, &input)
	return input, err
}

// inputWithSecrets is the second version's body; its secrets become the input's
// member secrets.
func inputWithSecrets(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body struct {
		Input   map[string]json.RawMessage `json:"input"`
		Secrets json.RawMessage            `json:"secrets"`
	}
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return nil, err
	}
	if len(body.Secrets) > 0 && body.Input != nil {
		body.Input["secrets"] = body.Secrets
	}
	return json.Marshal(body.Input)
}
