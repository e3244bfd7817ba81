package backstage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	membersFresh = 30 * time.Second
	membersPage  = 500
	mostMembers  = 5000 // of one group; more is a fault of the catalog's
)

var _ provision.Directory = (*Directory)(nil)

// Directory asks the catalog who is in a group, with Roadbed's own token.
type Directory struct {
	discovery *Discovery
	signer    *Signer
	http      *http.Client
	now       func() time.Time

	mu   sync.Mutex
	kept map[string]membership
}

type membership struct {
	people    []string
	fetchedAt time.Time
}

// NewDirectory finds the catalog by discovery and signs with signer.
func NewDirectory(discovery *Discovery, signer *Signer) *Directory {
	return &Directory{discovery: discovery, signer: signer, http: newHTTPClient(), now: time.Now, kept: map[string]membership{}}
}

// Members implements provision.Directory: the users with the relation memberOf
// to the group, as the catalog had them at most 30 s ago. It blocks on the
// catalog for at most 5 s a page.
func (d *Directory) Members(ctx context.Context, group string) ([]string, error) {
	group = strings.ToLower(group) // as the catalog writes refs
	d.mu.Lock()
	known, ok := d.kept[group]
	d.mu.Unlock()
	if ok && d.now().Sub(known.fetchedAt) < membersFresh {
		return slices.Clone(known.people), nil
	}
	people, err := d.fetch(ctx, group)
	if err != nil {
		return nil, provision.Unreachable("The catalog, which knows who may approve this,", fmt.Errorf("ask for the members of %s: %w", group, err))
	}
	if len(people) == 0 {
		return people, nil // not kept: the catalog may only just have started to read its entities
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept[group] = membership{people, d.now()}
	return slices.Clone(people), nil
}

// Address is the mail address of a user's entity (spec.profile.email); "" when
// it has none or there is no such entity. It blocks on the catalog for at most 5 s.
func (d *Directory) Address(ctx context.Context, user string) (string, error) {
	_, name, _ := strings.Cut(user, ":")
	if !userRef.MatchString(user) {
		return "", provision.Errorf(provision.Invalid, "%q is no user", user)
	}
	var entity struct {
		Spec struct {
			Profile struct {
				Email string `json:"email"`
			} `json:"profile"`
		} `json:"spec"`
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	base, err := d.discovery.URL("catalog")
	if err != nil {
		return "", err
	}
	status, err := d.read(ctx, base+"/entities/by-name/user/"+name, &entity)
	if err != nil {
		return "", provision.Unreachable("The catalog, which knows people's addresses,", fmt.Errorf("ask for the address of %s: %w", user, err))
	}
	if status == http.StatusNotFound {
		return "", nil
	}
	return entity.Spec.Profile.Email, nil
}

// read decodes what the catalog answers; of a 404 there is nothing to decode.
func (d *Directory) read(ctx context.Context, address string, into any) (status int, err error) {
	token, err := d.signer.Token("catalog")
	if err != nil {
		return 0, err
	}
	status, body, err := get(ctx, d.http, address, token)
	switch {
	case err != nil || status == http.StatusNotFound:
		return status, err
	case status != http.StatusOK:
		return status, fmt.Errorf("the catalog answered %d", status)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return status, fmt.Errorf("read the catalog's answer: %w", err)
	}
	return status, nil
}

func (d *Directory) fetch(ctx context.Context, group string) ([]string, error) {
	base, err := d.discovery.URL("catalog")
	if err != nil {
		return nil, err
	}
	query := url.Values{
		"filter": {"kind=user,relations.memberof=" + group}, "limit": {fmt.Sprint(membersPage)},
		"fields": {"kind,metadata.namespace,metadata.name"},
	}
	people := []string{}
	for {
		page, next, err := d.page(ctx, base+"/entities/by-query?"+query.Encode())
		if err != nil {
			return nil, err
		}
		people = append(people, page...)
		switch {
		case len(people) > mostMembers:
			return nil, fmt.Errorf("it has more than %d", mostMembers)
		case next == "":
			slices.Sort(people)
			return slices.Compact(people), nil
		}
		query = url.Values{"cursor": {next}, "limit": {fmt.Sprint(membersPage)}, "fields": query["fields"]}
	}
}

func (d *Directory) page(ctx context.Context, address string) (people []string, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var answer struct {
		Items []struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Namespace string `json:"namespace"`
				Name      string `json:"name"`
			} `json:"metadata"`
		} `json:"items"`
		PageInfo struct {
			NextCursor string `json:"nextCursor"`
		} `json:"pageInfo"`
	}
	status, err := d.read(ctx, address, &answer)
	if err == nil && status == http.StatusNotFound {
		err = fmt.Errorf("the catalog answered %d", status)
	}
	if err != nil {
		return nil, "", err
	}
	for _, user := range answer.Items {
		namespace := user.Metadata.Namespace
		if namespace == "" {
			namespace = "default"
		}
		ref := strings.ToLower("user:" + namespace + "/" + user.Metadata.Name)
		if !strings.EqualFold(user.Kind, "user") || !userRef.MatchString(ref) {
			return nil, "", fmt.Errorf("it named %q, which is no user", ref)
		}
		people = append(people, ref)
	}
	return people, answer.PageInfo.NextCursor, nil
}
