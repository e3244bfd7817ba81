package provision

import (
	"context"
	"sync/atomic"
)

// VersionStore is what a Publication reads.
type VersionStore interface {
	// Versions are those of an offering, or of all with "", the latest served
	// first.
	Versions(ctx context.Context, offering string) ([]Version, error)
	Bundle(ctx context.Context, digest string) (Offering, []byte, error)
}

// Publication is a Catalog of the versions that are published, whatever the
// folder holds that Catalog was read from; it has that folder's offerings. It
// shows what Refresh has read; before the first it is the folder. It may be used
// from many goroutines.
type Publication struct {
	Catalog
	read atomic.Pointer[publications]
}

type publications struct {
	served map[string]Offering // by id
	none   map[string]string   // by id, why none is served
	states map[string]VersionState
}

// NewPublication is the publication of a folder's catalog.
func NewPublication(folder Catalog) *Publication { return &Publication{Catalog: folder} }

// Refresh reads what is published now. What it cannot read leaves what was read
// before.
func (p *Publication) Refresh(ctx context.Context, store VersionStore) error {
	versions, err := store.Versions(ctx, "")
	if err != nil {
		return err
	}
	byOffering, read := map[string][]Version{}, &publications{served: map[string]Offering{}, none: map[string]string{}, states: map[string]VersionState{}}
	for _, v := range versions {
		byOffering[v.Offering] = append(byOffering[v.Offering], v)
		read.states[v.Digest] = v.State
	}
	for _, inFolder := range p.Catalog.Offerings() {
		known := byOffering[inFolder.ID]
		served := servedOf(known)
		switch {
		case len(known) == 0:
			continue // it is about to be made known
		case served == nil:
			read.none[inFolder.ID] = whyNone(inFolder.Name, known)
			continue
		case served.Digest == inFolder.Digest:
			inFolder.State = served.State
			read.served[inFolder.ID] = inFolder
			continue
		}
		offering, _, err := store.Bundle(ctx, served.Digest)
		if err != nil {
			return err
		}
		offering.State = served.State
		read.served[inFolder.ID] = offering
	}
	p.read.Store(read)
	return nil
}

// Offering implements Catalog. What has versions of which none is published is a
// Conflict that says so.
func (p *Publication) Offering(id string) (Offering, error) {
	inFolder, err := p.Catalog.Offering(id)
	read := p.read.Load()
	if err != nil || read == nil {
		return inFolder, err
	}
	if why, none := read.none[id]; none {
		return Offering{}, Errorf(Conflict, "%s", why)
	}
	if served, ok := read.served[id]; ok {
		return served, nil
	}
	return inFolder, nil
}

// Offerings implements Catalog: those of which a version is published.
func (p *Publication) Offerings() []Offering {
	all := []Offering{}
	for _, inFolder := range p.Catalog.Offerings() {
		if served, err := p.Offering(inFolder.ID); err == nil {
			all = append(all, served)
		}
	}
	return all
}

// VersionState is how far the version with this digest has come; Published for
// one that nobody knows.
func (p *Publication) VersionState(digest string) VersionState {
	if read := p.read.Load(); read != nil {
		if state, known := read.states[digest]; known {
			return state
		}
	}
	return Published
}
