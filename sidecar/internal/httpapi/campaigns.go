package httpapi

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// mostExamples is how many members of a group are named.
const mostExamples = 5

func (s *Server) listCampaigns(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	campaigns, err := s.Service.Campaigns(r.Context(), p)
	if err != nil {
		return err
	}
	may, err := s.mayRollOut(r.Context(), p)
	if err != nil {
		return err
	}
	list := api.CampaignList{Items: make([]api.Campaign, len(campaigns)), MayRollOut: may}
	for i, c := range campaigns {
		list.Items[i] = s.campaignView(c, may)
		list.Items[i].Groups, list.Items[i].Members = []api.CampaignGroup{}, []api.CampaignMember{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) mayRollOut(ctx context.Context, p provision.Principal) (bool, error) {
	err := s.Service.Authorizer.Allow(ctx, provision.Access{Principal: p, Verb: provision.VerbRollOut})
	if err != nil && provision.KindOf(err) != provision.Denied {
		return false, err
	}
	return err == nil, nil
}

func (s *Server) getCampaign(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	c, err := s.Service.Campaign(r.Context(), p, id)
	return s.answerCampaign(w, r, p, http.StatusOK, c, err)
}

func (s *Server) makeCampaign(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	var body api.CampaignAsk
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	c, err := s.Service.MakeCampaign(r.Context(), p, provision.CampaignAsk{
		Offering: body.Offering, Version: body.Version, Environments: body.Environments, Owners: body.Owners,
		Key: key, RingSizes: body.RingSizes, HaltAfter: body.HaltAfter, AtOnce: body.AtOnce,
	})
	return s.answerCampaign(w, r, p, http.StatusCreated, c, err)
}

func (s *Server) approveGroup(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.GroupApprove
	id, err := readAsk(w, r, &body, true)
	if err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	c, err := s.Service.ApproveGroup(r.Context(), p, id, pathText(r, "shape"), body.Confirm, reason)
	return s.answerCampaign(w, r, p, http.StatusOK, c, err)
}

func (s *Server) startCampaign(ctx context.Context, p provision.Principal, id uuid.UUID, _ string) (provision.CampaignView, error) {
	return s.Service.StartCampaign(ctx, p, id)
}

// moveCampaign is the handler of what is done with a campaign for a reason.
func (s *Server) moveCampaign(move func(ctx context.Context, p provision.Principal, id uuid.UUID, reason string) (provision.CampaignView, error)) asked {
	return func(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
		var body api.CampaignMove
		id, err := readAsk(w, r, &body, true)
		if err != nil {
			return err
		}
		reason, err := reasonOf(body.Reason)
		if err != nil {
			return err
		}
		c, err := move(r.Context(), p, id, reason)
		return s.answerCampaign(w, r, p, http.StatusOK, c, err)
	}
}

func (s *Server) optOut(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.CampaignOptOut
	id, err := readAsk(w, r, &body, false)
	if err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	c, err := s.Service.OptOut(r.Context(), p, id, body.Owner, body.Until, reason)
	return s.answerCampaign(w, r, p, http.StatusOK, c, err)
}

func (s *Server) answerCampaign(w http.ResponseWriter, r *http.Request, p provision.Principal, status int, c provision.CampaignView, err error) error {
	if err != nil {
		return err
	}
	may, err := s.mayRollOut(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, status, s.campaignView(c, may))
}

func (s *Server) campaignView(c provision.CampaignView, may bool) api.Campaign {
	view := api.Campaign{
		Id: c.ID, Offering: c.Offering, OfferingName: s.offeringName(c.Offering), Version: c.Version, State: c.State, Reason: c.Reason,
		By: c.By, CreatedAt: c.CreatedAt.UTC(), Environments: orEmpty(c.Environments), Owners: orEmpty(c.Owners), HaltAfter: c.HaltAfter, AtOnce: c.AtOnce,
		Ring: c.Ring, Rings: make([]api.CampaignRing, len(c.Rings)), Groups: make([]api.CampaignGroup, len(c.Groups)),
		Members: make([]api.CampaignMember, len(c.Members)), OptOuts: []api.CampaignOptedOut{}, MayRollOut: may,
	}
	states := map[provision.MemberState]int{}
	inRing := make([]map[provision.MemberState]int, len(c.Rings))
	for i := range inRing {
		inRing[i] = map[provision.MemberState]int{}
	}
	for i, m := range c.Members {
		view.Members[i] = memberView(m, c)
		states[view.Members[i].State]++
		inRing[m.Ring][view.Members[i].State]++
	}
	view.Counts = countsView(states)
	for i, ring := range c.Rings {
		view.Rings[i] = api.CampaignRing{Name: ring.Name, Counts: countsView(inRing[i])}
	}
	for i, g := range c.Groups {
		view.Groups[i] = groupView(g)
	}
	for _, owner := range slices.Sorted(maps.Keys(c.OptOuts)) {
		o := c.OptOuts[owner]
		view.OptOuts = append(view.OptOuts, api.CampaignOptedOut{Owner: owner, Until: o.Until.UTC(), By: o.By, Reason: o.Reason})
	}
	return view
}

func memberView(m provision.CampaignMember, c provision.CampaignView) api.CampaignMember {
	view := api.CampaignMember{
		InstanceId: m.InstanceID, Name: m.Name, Environment: m.Environment, Owner: m.Owner, Ring: m.Ring,
		EntityRef: provision.EntityRef(m.Environment, m.Name, c.Offering), State: m.StateIn(c.Campaign, c.At), Waiting: m.Waiting, Error: m.Error,
	}
	switch why := m.WhyNot(); {
	case view.State == provision.MemberUnplanned:
		view.Error = why
	case m.Plan != nil && m.Plan.Failure == "":
		view.Shape = m.Plan.Shape.Digest()
	}
	if m.RequestID != uuid.Nil {
		state := string(m.Request)
		view.RequestId, view.RequestState = &m.RequestID, &state
	}
	return view
}

func groupView(g provision.CampaignGroup) api.CampaignGroup {
	view := api.CampaignGroup{
		Shape: g.Digest, Title: g.Title, Lines: orEmpty(g.Shape), Failure: g.Failure, Confirm: g.Confirm, Counts: countsView(g.States),
		MonthlyDifference: g.CostDifference, Findings: []api.CampaignFinding{}, Examples: []string{},
	}
	if g.Approval != nil {
		at := g.Approval.At.UTC().Truncate(time.Microsecond)
		view.ApprovedBy, view.ApprovedAt = &g.Approval.By, &at
	}
	for _, f := range g.Findings {
		view.Findings = append(view.Findings, api.CampaignFinding{
			Rule: f.Rule, Level: api.CampaignFindingLevel(f.Level), Message: f.Message, WayOut: f.WayOut, Count: f.Count,
		})
	}
	for _, m := range g.Members[:min(len(g.Members), mostExamples)] {
		view.Examples = append(view.Examples, m.Environment+"/"+m.Name)
	}
	return view
}

func countsView(states map[provision.MemberState]int) api.CampaignCounts {
	counts := api.CampaignCounts{
		Planning: states[provision.MemberPlanning], CannotPlan: states[provision.MemberUnplanned], Unapproved: states[provision.MemberUnapproved],
		OptedOut: states[provision.MemberOptedOut], Ready: states[provision.MemberReady], Asked: states[provision.MemberAsked],
		Done: states[provision.MemberDone], Failed: states[provision.MemberFailed], Gone: states[provision.MemberGone],
	}
	for _, n := range states {
		counts.Instances += n
	}
	return counts
}
