package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// CampaignRecord is a campaign, read under a lock and written back whole. Its
// methods decide what a move means and tell of it.
type CampaignRecord struct {
	Campaign
	AcceptFailures bool // the store is to accept the failures that there are
	events         []Event
	now            time.Time
}

// NewCampaignRecord is what a store has read at the database's time now.
func NewCampaignRecord(c Campaign, now time.Time) *CampaignRecord {
	return &CampaignRecord{Campaign: c, now: now.UTC()}
}

// Events are what happened to the campaign since it was read, in order.
func (r *CampaignRecord) Events() []Event { return r.events }

// Created tells of a campaign that is new.
func (r *CampaignRecord) Created() {
	r.tell("created", map[string]any{"by": r.By})
}

// Approve lets plans of a shape be applied; a repeat changes nothing.
func (r *CampaignRecord) Approve(shape Shape, title string, a GroupApproval) error {
	if err := r.alive(); err != nil {
		return err
	}
	digest := shape.Digest()
	if _, known := r.Approved[digest]; known {
		return nil
	}
	a.At = r.now
	r.Approved = maps.Clone(r.Approved)
	if r.Approved == nil {
		r.Approved = map[string]GroupApproval{}
	}
	r.Approved[digest] = a
	r.tell("approved", map[string]any{"shape": digest, "title": title, "by": a.By, "reason": a.Reason})
	return nil
}

// Start has the approved groups be upgraded; a running campaign is left so.
func (r *CampaignRecord) Start(by string) error {
	switch r.State {
	case CampaignRunning:
		return nil
	case CampaignOpen:
	default:
		return Errorf(Conflict, "the campaign is %s; only an open one is started", r.State)
	}
	if len(r.Approved) == 0 {
		return Errorf(Conflict, "no group is approved yet, so there is nothing to roll out; approve one first")
	}
	r.State = CampaignRunning
	r.tell("started", map[string]any{"by": by})
	return nil
}

// Halt has nothing more be asked for; what is on its way goes on.
func (r *CampaignRecord) Halt(by, reason string) error {
	switch r.State {
	case CampaignHalted:
		return nil
	case CampaignRunning:
	default:
		return Errorf(Conflict, "the campaign is %s; only a running one is halted", r.State)
	}
	r.State, r.Reason = CampaignHalted, reason
	r.tell("halted", map[string]any{"by": by, "reason": reason})
	return nil
}

// Resume goes on with a halted campaign, whatever has failed so far.
func (r *CampaignRecord) Resume(by, reason string) error {
	switch r.State {
	case CampaignRunning:
		return nil
	case CampaignHalted:
	default:
		return Errorf(Conflict, "the campaign is %s; only a halted one is resumed", r.State)
	}
	r.State, r.Reason, r.AcceptFailures = CampaignRunning, "", true
	r.tell("resumed", map[string]any{"by": by, "reason": reason})
	return nil
}

// Stop ends the campaign; what is on its way goes on.
func (r *CampaignRecord) Stop(by, reason string) error {
	if r.State == CampaignStopped {
		return nil
	}
	if err := r.alive(); err != nil {
		return err
	}
	r.State, r.Reason = CampaignStopped, reason
	r.tell("stopped", map[string]any{"by": by, "reason": reason})
	return nil
}

// Finish ends a running campaign of which nothing is left to do.
func (r *CampaignRecord) Finish() error {
	if r.State != CampaignRunning {
		return nil
	}
	r.State = CampaignFinished
	r.tell("finished", map[string]any{})
	return nil
}

// OptOut keeps the campaign from an owner's instances until a date.
func (r *CampaignRecord) OptOut(owner string, o OptOut) error {
	if err := r.alive(); err != nil {
		return err
	}
	if !o.Until.After(r.now) {
		return Errorf(Invalid, "until must be a time that is still to come")
	}
	r.OptOuts = maps.Clone(r.OptOuts)
	if r.OptOuts == nil {
		r.OptOuts = map[string]OptOut{}
	}
	r.OptOuts[owner] = o
	r.tell("opted_out", map[string]any{"owner": owner, "until": o.Until, "by": o.By, "reason": o.Reason})
	return nil
}

func (r *CampaignRecord) alive() error {
	if r.State == CampaignFinished || r.State == CampaignStopped {
		return Errorf(Conflict, "the campaign is %s; make another", r.State)
	}
	return nil
}

func (r *CampaignRecord) tell(verb string, data map[string]any) {
	r.Sequence++
	r.UpdatedAt = r.now
	data["offering"], data["version"] = r.Offering, r.Version
	r.events = append(r.events, Event{
		ID: NewID(), Entity: "campaign", Verb: verb, SubjectID: r.ID, Sequence: r.Sequence, Environment: everywhere, At: r.now, Data: data,
	})
}

// ringsBy are rings by environment, in the order that the environments have in a
// rollout; those without an order come last, together.
func ringsBy(environments map[string]Environment, among []string) []Ring {
	byOrder := map[int][]string{}
	for name, e := range environments {
		if among == nil || slices.Contains(among, name) {
			byOrder[cmp.Or(e.Ring, lastRing)] = append(byOrder[cmp.Or(e.Ring, lastRing)], name)
		}
	}
	rings := []Ring{}
	for _, order := range slices.Sorted(maps.Keys(byOrder)) {
		names := byOrder[order]
		slices.Sort(names)
		title := names[0]
		if len(names) > 1 {
			title = fmt.Sprintf("%s and %d more", names[0], len(names)-1)
		}
		rings = append(rings, Ring{Name: title, Environments: names})
	}
	return rings
}

const lastRing = 1 << 20

// inRings gives each member its ring. Rings of a size are filled in the order of
// the environments, so that what matters least goes first.
func inRings(rings []Ring, members []CampaignMember, environments map[string]Environment) {
	slices.SortFunc(members, func(a, b CampaignMember) int {
		return cmp.Or(
			cmp.Compare(cmp.Or(environments[a.Environment].Ring, lastRing), cmp.Or(environments[b.Environment].Ring, lastRing)),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Name, b.Name))
	})
	unnamed := 0
	for i, m := range members {
		if named := slices.IndexFunc(rings, func(r Ring) bool { return slices.Contains(r.Environments, m.Environment) }); named >= 0 {
			members[i].Ring = named
			continue
		}
		members[i].Ring = sized(rings, unnamed)
		unnamed++
	}
}

// sized is the ring of a size that the nth is in, counted from 0; what is in
// none is in the last.
func sized(rings []Ring, n int) int {
	for i, r := range rings {
		if r.Size == 0 && len(r.Environments) == 0 || n < r.Size {
			return i
		}
		n -= r.Size
	}
	return len(rings) - 1
}
