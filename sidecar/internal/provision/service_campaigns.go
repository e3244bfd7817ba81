package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// CampaignAsk is a campaign that somebody wants.
type CampaignAsk struct {
	Offering     string
	Version      string   // or its digest
	Environments []string // nil is all
	Owners       []string // likewise
	RingSizes    []int    // how many instances each ring has; nil is rings by environment
	HaltAfter    int      // 0 is 1
	AtOnce       int      // 0 is 4
	Key          string   // idempotency key; "" makes another each time
}

const (
	mostAtOnce    = 50
	mostRings     = 20
	mostCampaigns = 100
)

// CampaignView is a campaign as somebody may see it: whole for who may roll out,
// else with the instances of their own teams alone.
type CampaignView struct {
	Campaign
	Members []CampaignMember
	Groups  []CampaignGroup
	Ring    int // at work; -1 when none is
	At      time.Time
}

// MakeCampaign makes a campaign of every instance that is not of a version, for
// the platform team alone. Nothing is touched: their upgrades are planned. What
// is wrong with the ask is Invalid, every fault at once; a version that is
// withdrawn, or that nothing could be upgraded to, is a Conflict. The same key makes
// the same campaign.
func (s *Service) MakeCampaign(ctx context.Context, p Principal, ask CampaignAsk) (CampaignView, error) {
	if err := s.mayRollOut(ctx, p); err != nil {
		return CampaignView{}, err
	}
	if err := s.campaignFaults(ask); err != nil {
		return CampaignView{}, err
	}
	version, err := s.Store.ChangeVersion(ctx, ask.Offering, ask.Version, func(*Version) (*Event, error) { return nil, nil })
	if err != nil {
		return CampaignView{}, err
	}
	if version.State == Withdrawn {
		return CampaignView{}, Errorf(Conflict, "version %s of %s is withdrawn: %s", version.Version, version.Offering, version.Reason)
	}
	c := Campaign{
		ID: NewID(), State: CampaignOpen, Offering: version.Offering, Version: version.Version, Digest: version.Digest, By: p.Subject,
		Environments: ask.Environments, Owners: ask.Owners, HaltAfter: cmp.Or(ask.HaltAfter, 1), AtOnce: cmp.Or(ask.AtOnce, 4),
		Rings: ringsBy(s.Environments, ask.Environments),
	}
	if len(ask.RingSizes) > 0 {
		c.Rings = nil
		for n, size := range ask.RingSizes {
			c.Rings = append(c.Rings, Ring{Name: fmt.Sprintf("ring %d", n+1), Size: size})
		}
	}
	if ask.Key != "" {
		c.ID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(p.Subject+"\n"+ask.Key))
		if first, _, err := s.Store.Campaign(ctx, c.ID); err == nil {
			if !first.sameAsk(c) {
				return CampaignView{}, Errorf(Conflict, "this Idempotency-Key was used for another campaign, %s; use a new key for a new one", first.ID)
			}
			return s.campaign(ctx, c.ID, nil)
		} else if KindOf(err) != NotFound {
			return CampaignView{}, err
		}
	}
	members, err := s.Store.Candidates(ctx, c)
	if err != nil {
		return CampaignView{}, err
	}
	if len(members) == 0 {
		return CampaignView{}, Errorf(Conflict, "there is nothing to upgrade: every instance of %s that this is about is of version %s", version.Offering, version.Version)
	}
	inRings(c.Rings, members, s.Environments)
	record := NewCampaignRecord(c, s.Now())
	record.Created()
	if err := s.Store.AddCampaign(ctx, record, members); err != nil {
		return CampaignView{}, err
	}
	return s.campaign(ctx, c.ID, nil)
}

// sameAsk reports whether two campaigns were asked for alike. Rings by environment
// are not asked for: they follow what is configured.
func (c Campaign) sameAsk(other Campaign) bool {
	return c.Digest == other.Digest && slices.Equal(c.Environments, other.Environments) && slices.Equal(c.Owners, other.Owners) &&
		slices.Equal(c.ringSizes(), other.ringSizes()) && c.HaltAfter == other.HaltAfter && c.AtOnce == other.AtOnce
}

// ringSizes are those that were asked for; nil when rings are by environment.
func (c Campaign) ringSizes() []int {
	var sizes []int
	for _, ring := range c.Rings {
		if len(ring.Environments) == 0 {
			sizes = append(sizes, ring.Size)
		}
	}
	return sizes
}

func (s *Service) mayRollOut(ctx context.Context, p Principal) error {
	return s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbRollOut})
}

// campaignFaults is Invalid with all that is wrong with an ask.
func (s *Service) campaignFaults(ask CampaignAsk) error {
	var faults []Fault
	add := func(wrong bool, path, message string) {
		if wrong {
			faults = append(faults, Fault{Path: path, Message: message})
		}
	}
	for _, name := range ask.Environments {
		_, known := s.Environments[name]
		add(!known, "/environments", fmt.Sprintf("environment %q is not configured; there are %s", name, strings.Join(s.environmentNames(), ", ")))
	}
	add(ask.HaltAfter < 0, "/halt_after", "halt_after must be 1 or more")
	add(ask.AtOnce < 0 || ask.AtOnce > mostAtOnce, "/at_once", fmt.Sprintf("at_once must be from 1 to %d", mostAtOnce))
	add(len(ask.RingSizes) > mostRings, "/ring_sizes", fmt.Sprintf("there may be %d rings at most", mostRings))
	for n, size := range ask.RingSizes {
		add(size < 1 && !(size == 0 && n == len(ask.RingSizes)-1), "/ring_sizes", fmt.Sprintf("ring %d must have at least 1 instance; only the last may be 0, for the rest", n+1))
	}
	if len(faults) == 0 {
		return nil
	}
	return withFaults(nil, faults)
}

// Campaigns are all that p may see something of, the newest first, each without
// its groups.
func (s *Service) Campaigns(ctx context.Context, p Principal) ([]CampaignView, error) {
	owners, err := s.visible(ctx, p, nil)
	if err != nil {
		return nil, err
	}
	campaigns, err := s.Store.Campaigns(ctx, mostCampaigns)
	if err != nil {
		return nil, err
	}
	views := []CampaignView{}
	for _, c := range campaigns {
		view, err := s.campaign(ctx, c.ID, owners)
		if err != nil {
			return nil, err
		}
		if owners == nil || len(view.Members) > 0 {
			views = append(views, view)
		}
	}
	return views, nil
}

// Campaign is one that p may see something of; one of which they may see nothing
// is NotFound, as an unknown one is.
func (s *Service) Campaign(ctx context.Context, p Principal, id uuid.UUID) (CampaignView, error) {
	owners, err := s.visible(ctx, p, nil)
	if err != nil {
		return CampaignView{}, err
	}
	view, err := s.campaign(ctx, id, owners)
	if err == nil && owners != nil && len(view.Members) == 0 {
		return CampaignView{}, Errorf(NotFound, "there is no campaign %s", id)
	}
	return view, err
}

// campaign is one as it is now, of these owners; nil is all.
func (s *Service) campaign(ctx context.Context, id uuid.UUID, owners []string) (CampaignView, error) {
	c, members, err := s.Store.Campaign(ctx, id)
	if err != nil {
		return CampaignView{}, err
	}
	now := s.Now().UTC()
	view := CampaignView{Campaign: c, Ring: c.Step(members, now).Ring, At: now}
	if owners != nil {
		members = slices.DeleteFunc(members, func(m CampaignMember) bool { return !slices.Contains(owners, m.Owner) })
	}
	view.Members, view.Groups = members, c.Groups(members, now)
	return view, nil
}

// ApproveGroup lets plans of one shape be applied, for the platform team alone.
// A shape that deletes or replaces something is confirmed by what the group says;
// anything else is Invalid. It may be repeated.
func (s *Service) ApproveGroup(ctx context.Context, p Principal, id uuid.UUID, digest, confirm, reason string) (CampaignView, error) {
	if err := s.mayRollOut(ctx, p); err != nil {
		return CampaignView{}, err
	}
	view, err := s.campaign(ctx, id, nil)
	if err != nil {
		return CampaignView{}, err
	}
	at := slices.IndexFunc(view.Groups, func(g CampaignGroup) bool { return g.Digest == digest && g.Failure == "" })
	if at < 0 {
		return CampaignView{}, Errorf(NotFound, "campaign %s has no group %q of plans; what cannot be planned cannot be approved", id, digest)
	}
	group := view.Groups[at]
	if group.Confirm != "" && confirm != group.Confirm {
		message := fmt.Sprintf("%s would lose what is there (%s): type %q to approve it", counted(len(group.Members), "instance"), group.Title, group.Confirm)
		return CampaignView{}, &Error{Kind: Invalid, Message: message, Details: []Fault{{Path: "/confirm", Message: message}}}
	}
	return s.moveCampaign(ctx, id, func(r *CampaignRecord) error {
		return r.Approve(group.Shape, group.Title, GroupApproval{By: p.Subject, Reason: reason})
	})
}

// StartCampaign has what is approved be upgraded, ring by ring. A version that
// is not published is a Conflict.
func (s *Service) StartCampaign(ctx context.Context, p Principal, id uuid.UUID) (CampaignView, error) {
	if err := s.mayRollOut(ctx, p); err != nil {
		return CampaignView{}, err
	}
	c, _, err := s.Store.Campaign(ctx, id)
	if err != nil {
		return CampaignView{}, err
	}
	if state := s.versionState(c.Digest); state == Draft || state == Withdrawn {
		return CampaignView{}, Errorf(Conflict, "version %s of %s is %s; publish it first", c.Version, c.Offering, stateWord(state))
	}
	return s.moveCampaign(ctx, id, func(r *CampaignRecord) error { return r.Start(p.Subject) })
}

func stateWord(state VersionState) string {
	if state == Draft {
		return "a draft"
	}
	return string(state)
}

// HaltCampaign has nothing more be asked for, ResumeCampaign goes on whatever has
// failed, StopCampaign ends it. What is on its way goes on. Each may be repeated.
func (s *Service) HaltCampaign(ctx context.Context, p Principal, id uuid.UUID, reason string) (CampaignView, error) {
	return s.rollOutBy(ctx, p, id, reason, func(r *CampaignRecord) error { return r.Halt(p.Subject, reason) })
}

// ResumeCampaign is told of at HaltCampaign.
func (s *Service) ResumeCampaign(ctx context.Context, p Principal, id uuid.UUID, reason string) (CampaignView, error) {
	return s.rollOutBy(ctx, p, id, cmp.Or(reason, "-"), func(r *CampaignRecord) error { return r.Resume(p.Subject, reason) })
}

// StopCampaign is told of at HaltCampaign.
func (s *Service) StopCampaign(ctx context.Context, p Principal, id uuid.UUID, reason string) (CampaignView, error) {
	return s.rollOutBy(ctx, p, id, reason, func(r *CampaignRecord) error { return r.Stop(p.Subject, reason) })
}

func (s *Service) rollOutBy(ctx context.Context, p Principal, id uuid.UUID, reason string, decide func(*CampaignRecord) error) (CampaignView, error) {
	if err := s.mayRollOut(ctx, p); err != nil {
		return CampaignView{}, err
	}
	if reason == "" {
		return CampaignView{}, Errorf(Invalid, "say why with reason: whoever looks at it later asks")
	}
	return s.moveCampaign(ctx, id, decide)
}

// OptOut keeps a campaign from the instances of an owner until a date: its own
// members may, and the platform team.
func (s *Service) OptOut(ctx context.Context, p Principal, id uuid.UUID, owner string, until time.Time, reason string) (CampaignView, error) {
	if err := person(p); err != nil {
		return CampaignView{}, err
	}
	if err := s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbSubmit, Owner: owner}); err != nil {
		return CampaignView{}, err
	}
	if reason == "" {
		return CampaignView{}, Errorf(Invalid, "say why with reason: whoever rolls it out asks")
	}
	_, members, err := s.Store.Campaign(ctx, id)
	if err != nil {
		return CampaignView{}, err
	}
	if !slices.ContainsFunc(members, func(m CampaignMember) bool { return m.Owner == owner }) {
		return CampaignView{}, Errorf(Conflict, "%s has nothing in campaign %s", owner, id)
	}
	if _, err := s.Store.ChangeCampaign(ctx, id, func(r *CampaignRecord) error {
		return r.OptOut(owner, OptOut{Until: until.UTC(), By: p.Subject, Reason: reason})
	}); err != nil {
		return CampaignView{}, err
	}
	return s.Campaign(ctx, p, id)
}

func (s *Service) moveCampaign(ctx context.Context, id uuid.UUID, decide func(*CampaignRecord) error) (CampaignView, error) {
	if _, err := s.Store.ChangeCampaign(ctx, id, decide); err != nil {
		return CampaignView{}, err
	}
	return s.campaign(ctx, id, nil)
}
