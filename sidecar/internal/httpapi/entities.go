package httpapi

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// What Backstage's catalog takes; an entity that breaks these rules would be
// dropped there without a word.
var (
	entityName      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	entityNamespace = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

const longestWait = 25 * time.Second

func (s *Server) feed(r *http.Request, p provision.Principal) error {
	if p.IsUser() {
		return provision.Errorf(provision.Denied, "the entity feed is for the catalog plugin; read /instances instead")
	}
	return s.Service.Authorizer.Allow(r.Context(), provision.Access{Principal: p, Verb: provision.VerbFeed})
}

func (s *Server) listEntities(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	if err := s.feed(r, p); err != nil {
		return err
	}
	snapshot, err := s.Reader.Snapshot(r.Context())
	if err != nil {
		return err
	}
	answer := api.EntitySnapshot{Entities: []api.Entity{}, Cursor: snapshot.Cursor, Complete: true}
	for _, i := range snapshot.Instances {
		if entity, ok := s.entity(r.Context(), i); ok && !i.State.Gone() {
			answer.Entities = append(answer.Entities, entity)
		}
	}
	s.patient(w, time.Minute)
	return writeJSON(w, http.StatusOK, answer)
}

func (s *Server) entityChanges(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	if err := s.feed(r, p); err != nil {
		return err
	}
	q, wait := r.URL.Query(), 20*time.Second
	if q.Has("wait") {
		seconds, err := strconv.Atoi(q.Get("wait"))
		if err != nil || seconds < 0 || seconds > int(longestWait/time.Second) {
			return provision.Errorf(provision.Invalid, "wait is %s; it must be from 0 to %d seconds", quoted(q.Get("wait")), int(longestWait/time.Second))
		}
		wait = time.Duration(seconds) * time.Second
	}
	cursor := q.Get("after")
	if cursor == "" || len(cursor) > 512 {
		return provision.Errorf(provision.Invalid, "after must be the cursor of the last answer; read /entities for a first one")
	}
	leave(r) // it waits, it does not work
	quit, err := s.streams.enter(p.Subject)
	if err != nil {
		return err
	}
	defer quit()
	s.patient(w, wait+time.Minute)
	ctx, stop := s.untilDrained(r.Context())
	defer stop()
	changes, err := s.Reader.Changes(ctx, cursor, wait)
	if err != nil {
		return err
	}
	answer := api.EntityChanges{Added: []api.Entity{}, Removed: []string{}, Cursor: changes.Cursor}
	living := map[string]bool{}
	for _, i := range changes.Instances {
		if i.State.Gone() {
			continue
		}
		if entity, ok := s.entity(r.Context(), i); ok {
			living[i.EntityRef()] = true
			answer.Added = append(answer.Added, entity)
		}
	}
	for _, i := range changes.Instances {
		// A name that was freed and taken again is one entity, and it lives.
		if i.State.Gone() && !living[i.EntityRef()] {
			answer.Removed = append(answer.Removed, i.EntityRef())
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}

// patient gives an answer more time than the server's own limit.
func (s *Server) patient(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d)) // without it the server's own holds
}

// untilDrained is ctx that also ends when the server drains. Call stop.
func (s *Server) untilDrained(ctx context.Context) (drained context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.draining:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		watch.Wait()
	}
}

// entity is an instance as the catalog shows it. ok is false for one that the
// catalog would refuse; that is logged, for no name that Submit takes does it.
func (s *Server) entity(ctx context.Context, i provision.Instance) (entity api.Entity, ok bool) {
	location := "url:" + s.BaseURL + "/instances/" + i.ID.String()
	entity = api.Entity{
		ApiVersion: "backstage.io/v1alpha1", Kind: "Resource",
		Metadata: api.EntityMetadata{
			Namespace: i.Environment, Name: i.Name + "." + i.Offering, Title: i.Name,
			Description: s.offeringName(i.Offering) + " in " + i.Environment,
			Annotations: map[string]string{
				"backstage.io/managed-by-location":        location,
				"backstage.io/managed-by-origin-location": location,
				"roadbed.dev/instance":                    i.ID.String(),
				"roadbed.dev/request":                     i.RequestID.String(),
				"roadbed.dev/phase":                       string(i.State),
				"roadbed.dev/offering":                    i.Offering + "@" + i.OfferingVersion,
			},
			Links: s.links(i),
		},
		Spec: api.EntitySpec{Type: i.Offering, Owner: i.Owner},
	}
	for _, link := range i.Links {
		if !slices.Contains(entity.Spec.DependsOn, link.EntityRef) {
			entity.Spec.DependsOn = append(entity.Spec.DependsOn, link.EntityRef)
		}
	}
	if i.Drift != nil && !i.Drift.Hidden(s.Now()) {
		entity.Metadata.Annotations["roadbed.dev/drift"] = i.Drift.Cause
	}
	if i.ExpiresAt != nil {
		entity.Metadata.Annotations["roadbed.dev/expires-at"] = i.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if pull := i.Preview; pull != nil {
		entity.Metadata.Annotations["roadbed.dev/pull-request"] = pull.Repository + "#" + strconv.Itoa(pull.Number)
		entity.Metadata.Labels = map[string]string{"type": "ephemeral", "pull_request": strconv.Itoa(pull.Number)}
		if i.ExpiresAt != nil { // ISO 8601 without what a label cannot have
			entity.Metadata.Labels["expires_at"] = i.ExpiresAt.UTC().Format("20060102T150405Z")
		}
	}
	if s.Portal != "" { // else the catalog would send people to the API, where a browser has no token
		entity.Metadata.Annotations["backstage.io/view-url"] = s.requestPage(i.RequestID)
	}
	if !entityName.MatchString(entity.Metadata.Name) || !entityNamespace.MatchString(i.Environment) || i.Offering == "" || i.Owner == "" {
		s.Log.ErrorContext(ctx, "instance left out of the entity feed; the catalog would refuse it", "instance_id", i.ID, "entity_ref", i.EntityRef())
		return api.Entity{}, false
	}
	return entity, true
}

func (s *Server) requestPage(id uuid.UUID) string {
	return s.Portal + "/infrastructure/requests/" + id.String()
}

// links are the instance's request in the portal and whatever outputs are URLs.
func (s *Server) links(i provision.Instance) []api.EntityLink {
	links := []api.EntityLink{}
	if s.Portal != "" {
		links = append(links, api.EntityLink{Url: s.requestPage(i.RequestID), Title: "Newest request", Icon: "dashboard"})
	}
	for _, name := range slices.Sorted(maps.Keys(i.Outputs)) {
		text, ok := i.Outputs[name].(string)
		if !ok || !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://") {
			continue
		}
		if u, err := url.Parse(text); err == nil && u.Host != "" && u.User == nil {
			links = append(links, api.EntityLink{Url: text, Title: title(name)})
		}
	}
	return links
}

// title is an output's name for people: monitoring_dashboard, Monitoring dashboard.
func title(name string) string {
	words := strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}
