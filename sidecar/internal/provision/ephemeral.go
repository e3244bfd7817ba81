package provision

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// PreviewRules are what an offering says of its instances in an ephemeral
// environment: what is set, and what is capped.
type PreviewRules struct {
	Set    Parameters       `json:"set,omitempty"`
	AtMost map[string]int64 `json:"at_most,omitempty"`
}

// PullRequest is what an ephemeral environment is for.
type PullRequest struct {
	ID         uuid.UUID `json:"id"`         // of the environment; the same for the same pull request
	Name       string    `json:"name"`       // pr-42; what its instances' names begin with
	Repository string    `json:"repository"` // owner/name
	Number     int       `json:"number"`
	Base       string    `json:"base"` // the environment that it is cloned from
}

// names are what the environment may be called, the first that is free: two
// repositories may have a pull request of the same number.
func (p PullRequest) names() []string {
	plain, of := fmt.Sprintf("pr-%d", p.Number), sha256.Sum256([]byte(p.Repository))
	return []string{plain, fmt.Sprintf("%s-%x", plain, of[:2]), fmt.Sprintf("%s-%x", plain, of[:6])}
}

// previewNamespace makes an environment's id of its pull request.
var previewNamespace = uuid.MustParse("6a7c5b1e-7f0e-4d0e-9a51-6d0d5f5b8f3a")

// EphemeralAsk asks for an ephemeral environment.
type EphemeralAsk struct {
	PullRequest PullRequest // without its id and name
	Owner       string      // entity ref or bare name of a team
	Environment string      // where it is made
	Lifetime    time.Duration
	Of          []string // names of the base's instances; none is all of the owner's
}

// EphemeralMember is one instance that an ephemeral environment asks for.
type EphemeralMember struct {
	Of      Instance
	Request Request // zero when nothing was stored
	Err     error   // why it was not accepted; nil when it was
}

// Ephemeral is an ephemeral environment: the living instances that were made for
// a pull request, by name.
type Ephemeral struct {
	PullRequest PullRequest
	Instances   []Instance
}

// ExpiresAt is when the first of its instances ends; nil when none does.
func (e Ephemeral) ExpiresAt() *time.Time {
	var first *time.Time
	for _, i := range e.Instances {
		if i.ExpiresAt != nil && (first == nil || i.ExpiresAt.Before(*first)) {
			first = i.ExpiresAt
		}
	}
	return first
}

// MonthlyCost is that of all its instances; nil when that of one is not known.
func (e Ephemeral) MonthlyCost() *Money {
	var sum Money
	for _, i := range e.Instances {
		if i.MonthlyCost == nil {
			return nil
		}
		sum += *i.MonthlyCost
	}
	return &sum
}

// MakeEphemeral asks for a copy of each of an owner's instances in a base
// environment, shrunk as its offering says, called pr-<number>-<name> and all
// with one lifetime. Each is a request of its own that meets policy; those that
// are not accepted say why. What it has already is left as it is and answered
// with its newest request, so that every push may ask again.
func (s *Service) MakeEphemeral(ctx context.Context, p Principal, ask EphemeralAsk, key string) (PullRequest, []EphemeralMember, error) {
	pull := ask.PullRequest
	if err := s.wellFormed(ask); err != nil {
		return pull, nil, err
	}
	pull.ID = uuid.NewSHA1(previewNamespace, []byte(pull.Repository+"#"+strconv.Itoa(pull.Number)))
	if err := s.Authorizer.Allow(ctx, Access{p.about(Create, &pull), VerbClone, OwnerRef(ask.Owner), pull.Base}); err != nil {
		return pull, nil, err
	}
	page, err := s.Store.Instances(ctx, InstanceFilter{Owners: []string{OwnerRef(ask.Owner)}, Environment: pull.Base, Limit: 100})
	if err != nil {
		return pull, nil, err
	}
	of := slices.DeleteFunc(page.Items, func(i Instance) bool {
		return i.State != Ready && i.State != Changing || i.Preview != nil || len(ask.Of) > 0 && !slices.Contains(ask.Of, i.Name)
	})
	for _, name := range ask.Of {
		if !slices.ContainsFunc(of, func(i Instance) bool { return i.Name == name }) {
			return pull, nil, Errorf(Invalid, "%s has nothing called %q in %s to clone; name what is ready there", OwnerRef(ask.Owner), name, pull.Base)
		}
	}
	if len(of) == 0 {
		return pull, nil, Errorf(Invalid, "%s has nothing in %s to clone", OwnerRef(ask.Owner), pull.Base)
	}
	slices.SortFunc(of, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Offering, b.Offering))
	})
	if pull.Name, err = s.Store.PreviewName(ctx, ask.Environment, pull.ID, pull.names()); err != nil {
		return pull, nil, err
	}
	members := make([]EphemeralMember, len(of))
	for n, i := range of {
		members[n].Of = i
		members[n].Request, members[n].Err = s.cloned(ctx, p, ask, pull, i, of, key)
		if KindOf(members[n].Err) == Unavailable && members[n].Err != nil {
			return pull, nil, members[n].Err // the same key goes on from there
		}
	}
	return pull, members, nil
}

// repository is owner/name, or a project with the groups that it is in.
var repository = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$`)

// wellFormed is nil for an ask that can be understood, else Invalid with every
// fault.
func (s *Service) wellFormed(ask EphemeralAsk) error {
	var faults []Fault
	fault := func(path, format string, args ...any) {
		faults = append(faults, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if pull := ask.PullRequest; len(pull.Repository) > 200 || !repository.MatchString(pull.Repository) {
		fault("/repository", "give the repository as owner/name")
	}
	if number := ask.PullRequest.Number; number <= 0 || number > 999_999_999 {
		fault("/pull_request", "give the number of the pull request, such as 42")
	}
	if ask.Owner == "" {
		fault("/owner", "give the team whose instances are copied")
	}
	if ask.Lifetime <= 0 {
		fault("/ttl_hours", "say how long it lives")
	}
	for _, place := range [][2]string{{"/base", ask.PullRequest.Base}, {"/environment", ask.Environment}} {
		if _, known := s.Environments[place[1]]; !known {
			fault(place[0], "environment %q is not configured; there are %s", place[1], strings.Join(s.environmentNames(), ", "))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	messages := make([]string, len(faults))
	for i, f := range faults {
		messages[i] = f.Message
	}
	return &Error{Kind: Invalid, Message: strings.Join(messages, "; "), Details: faults}
}

// cloned asks for the copy of one instance of those that are copied.
func (s *Service) cloned(ctx context.Context, p Principal, ask EphemeralAsk, pull PullRequest, i Instance, of []Instance, key string) (Request, error) {
	offering, err := s.Catalog.Offering(i.Offering)
	if err != nil {
		return Request{}, err
	}
	name := pull.Name + "-" + i.Name
	there, err := s.Store.InstanceByName(ctx, offering.ID, ask.Environment, name)
	// Of another team's copy of the same pull request nothing is told: its name is taken.
	if err == nil && there.Preview != nil && there.Preview.ID == pull.ID && there.Owner == i.Owner && there.State != Destroying {
		return s.Store.Request(ctx, there.RequestID)
	}
	if err != nil && KindOf(err) != NotFound {
		return Request{}, err
	}
	parameters := shrunk(offering, i, ask.Environment, name)
	if err := s.relink(ctx, offering, parameters, ask.Environment, pull, of); err != nil {
		return Request{}, err
	}
	return s.Submit(ctx, p, Submission{
		Offering: offering.ID, Parameters: parameters,
		IdempotencyKey: key + "/" + i.ShortID, ExpiresIn: ask.Lifetime, Preview: &pull,
	})
}

// relink has a copy take outputs of the copies of what its base takes them from,
// and of nothing that is not copied. It is a Conflict while such a copy is not
// ready.
func (s *Service) relink(ctx context.Context, o Offering, parameters Parameters, environment string, pull PullRequest, of []Instance) error {
	for _, p := range o.Parameters {
		value := parameters.Text(p.Name)
		if p.Takes == nil || value == "" {
			continue
		}
		n := slices.IndexFunc(of, func(i Instance) bool { return i.EntityRef() == value })
		if n < 0 {
			delete(parameters, p.Name)
			continue
		}
		name := pull.Name + "-" + of[n].Name
		upstream, err := s.Store.InstanceByName(ctx, of[n].Offering, environment, name)
		if err != nil && KindOf(err) != NotFound {
			return err
		}
		if err != nil || upstream.State != Ready {
			return Errorf(Conflict, "it takes the %s of %s, which is not ready; ask for the preview again once it is", p.Takes.Output, name)
		}
		parameters[p.Name] = upstream.EntityRef()
	}
	return nil
}

// shrunk are the parameters of an instance's copy. Secrets are not copied, and
// what the offering no longer knows is left out.
func shrunk(o Offering, i Instance, environment, name string) Parameters {
	copied := Parameters{}
	for _, p := range o.Parameters {
		value, set := i.Parameters[p.Name]
		if !set || p.Sensitive {
			continue
		}
		copied[p.Name] = value
	}
	for parameter, value := range o.Preview.Set {
		copied[parameter] = value
	}
	for parameter, most := range o.Preview.AtMost {
		if n, err := strconv.ParseInt(fmt.Sprint(copied[parameter]), 10, 64); err == nil && n > most {
			copied[parameter] = most
		}
	}
	copied[o.Roles.Name], copied[o.Roles.Environment] = name, environment
	copied[o.Roles.Owner] = strings.TrimPrefix(i.Owner, "group:default/")
	if i.CostCenter != "" {
		copied[o.Roles.CostCenter] = i.CostCenter
	}
	return copied
}

// Ephemerals are the living ephemeral environments that the principal may see,
// the newest first; of a zero id all of them.
func (s *Service) Ephemerals(ctx context.Context, p Principal, id uuid.UUID) ([]Ephemeral, error) {
	all, at := []Ephemeral{}, map[uuid.UUID]int{}
	for cursor := ""; ; {
		page, err := s.ephemeralInstances(ctx, p, InstanceFilter{Ephemeral: true, PreviewID: id, Cursor: cursor, Limit: 100})
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			n, known := at[i.Preview.ID]
			if !known {
				n, at[i.Preview.ID] = len(all), len(all)
				all = append(all, Ephemeral{PullRequest: *i.Preview})
			}
			all[n].Instances = append(all[n].Instances, i)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for _, e := range all {
		slices.SortFunc(e.Instances, func(a, b Instance) int { return cmp.Compare(a.Name, b.Name) })
	}
	if id != uuid.Nil && len(all) == 0 {
		return nil, Errorf(NotFound, "there is no ephemeral environment %s that you may see", id)
	}
	return all, nil
}

// ephemeralInstances lists as Instances does; a pipeline lists its own.
func (s *Service) ephemeralInstances(ctx context.Context, p Principal, f InstanceFilter) (Page[Instance], error) {
	if p.CI == nil {
		return s.Instances(ctx, p, f)
	}
	f.Owners = []string{p.CI.Owner}
	page, err := s.Store.Instances(ctx, f)
	if err != nil {
		return Page[Instance]{}, err
	}
	own := page.Items[:0]
	for _, i := range page.Items {
		err := s.Authorizer.Allow(ctx, Access{p.about("", i.Preview), VerbRead, i.Owner, i.Environment})
		if err == nil {
			own = append(own, i)
		} else if KindOf(err) != Denied {
			return Page[Instance]{}, err
		}
	}
	page.Items = own
	return page, nil
}

// EphemeralOutcome is what became of an ask about one instance of an ephemeral
// environment.
type EphemeralOutcome struct {
	Instance Instance
	Request  Request // zero when it was not accepted and nothing was stored
	Err      error   // why it was not accepted; nil when it was
}

// ExtendEphemeral asks for every instance of an ephemeral environment to live
// longer, DestroyEphemeral for their ends. Each is a request of its own, and
// what is not accepted says why; an error is that none was, or that something is
// down and the same key goes on.
func (s *Service) ExtendEphemeral(ctx context.Context, p Principal, id uuid.UUID, by time.Duration, key string) ([]EphemeralOutcome, error) {
	return s.ofEphemeral(ctx, p, id, func(i Instance) (Request, error) {
		return s.Extend(ctx, p, i.ID, by, Submission{IdempotencyKey: key + "/" + i.ShortID})
	})
}

// DestroyEphemeral is described with ExtendEphemeral.
func (s *Service) DestroyEphemeral(ctx context.Context, p Principal, id uuid.UUID, key string) ([]EphemeralOutcome, error) {
	return s.ofEphemeral(ctx, p, id, func(i Instance) (Request, error) {
		return s.Destroy(ctx, p, i.ID, Submission{IdempotencyKey: key + "/" + i.ShortID, Confirm: i.Name})
	})
}

func (s *Service) ofEphemeral(ctx context.Context, p Principal, id uuid.UUID, ask func(Instance) (Request, error)) ([]EphemeralOutcome, error) {
	found, err := s.Ephemerals(ctx, p, id)
	if err != nil {
		return nil, err
	}
	outcomes, first := make([]EphemeralOutcome, len(found[0].Instances)), error(nil)
	accepted := 0
	for n, i := range found[0].Instances {
		request, err := ask(i)
		outcomes[n] = EphemeralOutcome{i, request, err}
		switch {
		case err == nil:
			accepted++
		case KindOf(err) == Unavailable:
			return nil, err
		case first == nil:
			first = err
		}
	}
	if accepted == 0 {
		return nil, first
	}
	return outcomes, nil
}

// labels are put on what is made for a pull request, so that whoever finds it
// knows what it is for and until when; nil for anything else. lifetime is that
// which the instance has once they are there.
func (i Instance) labels(lifetime time.Duration) map[string]string {
	if i.Preview == nil {
		return nil
	}
	labels := map[string]string{
		"type": "ephemeral", "repository": i.Preview.Repository, "pull_request": strconv.Itoa(i.Preview.Number),
	}
	if lifetime > 0 {
		labels["expires_at"] = i.CreatedAt.Add(lifetime).UTC().Format(time.RFC3339)
	}
	return labels
}
