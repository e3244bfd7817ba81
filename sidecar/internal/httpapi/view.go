package httpapi

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// requestView is a request as the API shows it to p at now.
func (s *Server) requestView(r provision.Request, p provision.Principal, now time.Time) api.Request {
	v := api.Request{
		Id: r.ID, Action: r.Action, Offering: r.Offering, OfferingName: s.offeringName(r.Offering), OfferingVersion: r.OfferingVersion,
		EntityRef: provision.EntityRef(r.Environment, r.Name, r.Offering), Environment: r.Environment, Name: r.Name, Owner: r.Owner,
		CostCenter: r.CostCenter, Parameters: r.Shown(), State: r.State, Status: status(r), Waiting: r.Waiting,
		RequestedBy: r.RequestedBy, Actor: r.Actor, Task: r.Task, Rollout: r.Rollout, MonthlyCost: r.MonthlyCost, Outcome: r.Verdict.Outcome,
		Findings: orEmpty(r.Verdict.Findings), CancelReason: r.CancelReason, Approval: approvalView(r, p), Error: r.Error, Outputs: r.Outputs,
		Steps: make([]api.Step, len(r.Steps)), Sequence: r.Sequence, Generation: r.Generation,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
	if r.InstanceID != uuid.Nil {
		v.InstanceId = &r.InstanceID
	}
	if r.Verdict.Estimate != nil {
		estimate := EstimateView(*r.Verdict.Estimate, r.Verdict.Recommendations())
		v.Estimate = &estimate
	}
	v.Plan = r.Plan.Summary()
	if r.Plan != nil && r.Plan.Estimate != nil {
		estimate := EstimateView(*r.Plan.Estimate, nil)
		v.PlanEstimate = &estimate
	}
	for i, step := range r.Steps {
		v.Steps[i] = stepView(step, now)
	}
	return v
}

func stepView(s provision.Step, now time.Time) api.Step {
	v := api.Step{Step: s.Step, Name: s.Name, Status: s.Status, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt, Details: s.Details}
	if s.StartedAt != nil {
		end := now
		if s.FinishedAt != nil {
			end = *s.FinishedAt
		}
		seconds := max(0, end.Sub(*s.StartedAt).Round(time.Millisecond).Seconds())
		v.DurationSeconds = &seconds
	}
	return v
}

// status is how a request fares in the six words of the founding API. While it
// applies, it creates until the first step of resources is done; the rest is
// configuring.
func status(r provision.Request) api.Status {
	switch r.State {
	case provision.Submitted, provision.Queued:
		return api.Pending
	case provision.Planning, provision.AwaitingApproval:
		return api.Validating
	case provision.Applying:
		if configuring(r.Steps) {
			return api.Configuring
		}
		return api.CreatingResources
	case provision.Lost:
		return api.CreatingResources
	case provision.Succeeded:
		return api.Completed
	default:
		return api.Failed
	}
}

// configuring reports whether the first step that has addresses is complete.
func configuring(steps []provision.Step) bool {
	first := slices.IndexFunc(steps, func(s provision.Step) bool { return len(s.Addresses) > 0 })
	return first >= 0 && steps[first].Status == provision.StepCompleted
}

func (s *Server) requestViews(requests []provision.Request, p provision.Principal) []api.Request {
	now := s.Now()
	views := make([]api.Request, len(requests))
	for i, r := range requests {
		views[i] = s.requestView(r, p, now)
	}
	return views
}

func (s *Server) instanceView(i provision.Instance) api.Instance {
	return api.Instance{
		AvailableVersion: s.Service.AvailableVersion(i),
		Id:               i.ID, ShortId: i.ShortID, Offering: i.Offering, OfferingName: s.offeringName(i.Offering), OfferingVersion: i.OfferingVersion,
		Environment: i.Environment, Name: i.Name, Owner: i.Owner, CostCenter: i.CostCenter, State: i.State, Generation: i.Generation,
		Parameters: i.Shown(), MonthlyCost: i.MonthlyCost, Reserved: i.Reserved, Committed: i.Committed, Outputs: i.Outputs, Links: i.Links, Imports: i.Imports, RequestId: i.RequestID, ExpiresAt: utc(i.ExpiresAt), DestroyAt: utc(i.DestroyAt), Drift: driftSummary(i.Drift), EntityRef: i.EntityRef(),
		CreatedAt: i.CreatedAt.UTC(), UpdatedAt: i.UpdatedAt.UTC(),
	}
}

func utc(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	universal := at.UTC()
	return &universal
}

// offeringName is the title of an offering, or its id when it is no longer
// published.
func (s *Server) offeringName(id string) string {
	o, err := s.Service.Catalog.Offering(id)
	if err != nil {
		return id
	}
	return cmp.Or(o.Name, id)
}

// EstimateView is an estimate as the API shows it: exact, and in whole cents
// under the names that end in total and in breakdown. Each is rounded once.
func EstimateView(e provision.Estimate, recommendations []string) api.Estimate {
	v := api.Estimate{
		MonthlyCost: e.MonthlyCost, MonthlyTotal: toCents(e.MonthlyCost), AnnualCost: e.AnnualCost, AnnualTotal: toCents(e.AnnualCost),
		Items: orEmpty(e.Items), Breakdown: map[string]api.Money{}, PricesDigest: e.PricesDigest, Unpriced: orEmpty(e.Unpriced),
		Recommendations: orEmpty(recommendations),
	}
	for _, item := range e.Items {
		v.Breakdown[item.Name] += item.MonthlyCost
	}
	for name, cost := range v.Breakdown {
		v.Breakdown[name] = toCents(cost)
	}
	return v
}

func toCents(m provision.Money) provision.Money {
	return provision.Money(m.Cents()) * provision.Dollar / 100
}

// VerdictView is an answer as the API shows it.
func VerdictView(a provision.Answer) api.Verdict {
	v := a.Verdict
	view := api.Verdict{
		Allowed: v.Allowed(), Outcome: v.Outcome, Findings: orEmpty(v.Findings), Allowance: a.Allowance, Budgets: orEmpty(v.Budgets),
		Recommendations: v.Recommendations(), Advice: a.Advice, Holds: orEmpty(a.Holds), BundleDigest: v.BundleDigest, At: v.At.UTC(),
	}
	if v.Estimate != nil {
		estimate := EstimateView(*v.Estimate, view.Recommendations)
		view.Estimate = &estimate
	}
	return view
}

// offeringView is an offering without nulls where the API promises lists.
func offeringView(o provision.Offering) provision.Offering {
	o.Parameters, o.Outputs, o.Presets = orEmpty(o.Parameters), orEmpty(o.Outputs), orEmpty(o.Presets)
	o.Implementations, o.Steps = orEmpty(o.Implementations), orEmpty(o.Steps)
	if o.Tags == nil {
		o.Tags = map[string]string{}
	}
	if o.Cost.Items == nil {
		o.Cost.Items = map[string]string{}
	}
	if len(o.Schema) == 0 {
		o.Schema = []byte("{}")
	}
	return o
}

func eventView(e provision.Event) api.Event {
	data := maps.Clone(e.Data)
	if data == nil {
		data = map[string]any{}
	}
	return api.Event{Type: e.Type(), SubjectId: e.SubjectID, Sequence: e.Sequence, At: e.At.UTC(), Data: data}
}

func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
