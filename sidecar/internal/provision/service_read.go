package provision

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
)

// allowed is nil when p may do this to a request: as its owner's, while something
// is being handed over as the giver's too, and to read it as whoever owns what
// it has come to: an instance's past goes with it.
func (s *Service) allowed(ctx context.Context, p Principal, verb Verb, request Request) error {
	if p.CI != nil && request.InstanceID != uuid.Nil {
		instance, err := s.Store.Instance(ctx, request.InstanceID)
		if err != nil {
			return err
		}
		p = p.about("", instance.Preview)
	}
	no := s.Authorizer.Allow(ctx, Access{p, verb, request.Owner, request.Environment})
	passesOn := verb == VerbRead && request.InstanceID != uuid.Nil || request.Action == HandOver
	if !passesOn || no == nil || KindOf(no) != Denied {
		return no
	}
	instance, err := s.Store.Instance(ctx, request.InstanceID)
	if err != nil {
		return err
	}
	return s.Authorizer.Allow(ctx, Access{p, verb, instance.Owner, request.Environment})
}

// Request is a request that the principal may read.
func (s *Service) Request(ctx context.Context, p Principal, id uuid.UUID) (Request, error) {
	request, err := s.Store.Request(ctx, id)
	if err != nil {
		return Request{}, err
	}
	if err := s.allowed(ctx, p, VerbRead, request); err != nil {
		return Request{}, err
	}
	return s.placed(ctx, request)
}

// Instance is an instance that the principal may read.
func (s *Service) Instance(ctx context.Context, p Principal, id uuid.UUID) (Instance, error) {
	instance, err := s.Store.Instance(ctx, id)
	if err != nil {
		return Instance{}, err
	}
	return instance, s.Authorizer.Allow(ctx, Access{p.about("", instance.Preview), VerbRead, instance.Owner, instance.Environment})
}

// Requests lists what the principal may read: everything for who may list all,
// else what the principal's groups own, and all that was asked of an instance
// which they own by now.
func (s *Service) Requests(ctx context.Context, p Principal, f RequestFilter) (Page[Request], error) {
	all, err := s.readsInstance(ctx, p, f.InstanceID)
	if err != nil {
		return Page[Request]{}, err
	}
	if !all {
		if f.Owners, err = s.visible(ctx, p, f.Owners); err != nil {
			return Page[Request]{}, err
		}
	}
	found, err := s.Store.Requests(ctx, f)
	if err != nil {
		return Page[Request]{}, err
	}
	return found, s.standInLine(ctx, found.Items)
}

// readsInstance reports whether p may read an instance; there is none without an id.
func (s *Service) readsInstance(ctx context.Context, p Principal, id uuid.UUID) (bool, error) {
	if id == uuid.Nil {
		return false, nil
	}
	_, err := s.Instance(ctx, p, id)
	if kind := KindOf(err); err != nil && (kind == Denied || kind == NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Instances lists as Requests does.
func (s *Service) Instances(ctx context.Context, p Principal, f InstanceFilter) (Page[Instance], error) {
	owners, err := s.visible(ctx, p, f.Owners)
	if err != nil {
		return Page[Instance]{}, err
	}
	f.Owners = owners
	return s.Store.Instances(ctx, f)
}

// visible narrows owners to those whose things p may list; nil is all.
func (s *Service) visible(ctx context.Context, p Principal, owners []string) ([]string, error) {
	err := s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbListAll})
	if err == nil {
		return owners, nil
	}
	if KindOf(err) != Denied {
		return nil, err
	}
	if owners == nil {
		return append([]string{}, p.Groups...), nil
	}
	mine := []string{}
	for _, owner := range owners {
		if p.Owns(owner) {
			mine = append(mine, owner)
		}
	}
	return mine, nil
}

// Credentials opens an instance's secrets for its owning team. The opening is
// committed as an event before the secrets are returned.
func (s *Service) Credentials(ctx context.Context, p Principal, instanceID uuid.UUID) (map[string]any, error) {
	instance, err := s.Store.Instance(ctx, instanceID)
	if err != nil {
		return nil, err
	}
	if err := s.Authorizer.Allow(ctx, Access{p, VerbOpenCredentials, instance.Owner, instance.Environment}); err != nil {
		return nil, err
	}
	if instance.State != Ready && instance.State != Changing && instance.State != Incomplete {
		return nil, Errorf(Conflict, "%s is %s and has no credentials to open", instance.Name, instance.State)
	}
	version, err := s.Store.LatestState(ctx, instanceID)
	if err != nil {
		return nil, err
	}
	plain, err := s.Keys.Open(version.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open state of instance %s: %w", instanceID, err)
	}
	secrets, err := sensitiveOutputs(plain)
	if err != nil {
		return nil, fmt.Errorf("read state of instance %s: %w", instanceID, err)
	}
	if len(secrets) == 0 {
		return nil, Errorf(Conflict, "Roadbed holds no credentials of %s: where it has any, its outputs name the secret store that holds them", instance.Name)
	}
	_, err = s.Store.Change(ctx, instance.RequestID, func(r *Record) error {
		r.OpenCredentials(p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return secrets, nil
}

// sensitiveOutputs are the sensitive outputs in a Terraform state; the members
// of an output called credentials are lifted to the top.
func sensitiveOutputs(state []byte) (map[string]any, error) {
	var doc struct {
		Outputs map[string]struct {
			Value     any  `json:"value"`
			Sensitive bool `json:"sensitive"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal(state, &doc); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	secrets := map[string]any{}
	for name, output := range doc.Outputs {
		members, ok := output.Value.(map[string]any)
		switch {
		case !output.Sensitive:
		case name == "credentials" && ok:
			for member, value := range members {
				secrets[member] = value
			}
		default:
			secrets[name] = output.Value
		}
	}
	return secrets, nil
}
