package provision

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Question asks for a verdict without asking for the thing.
type Question struct {
	Offering   string
	Parameters Parameters
	Partial    bool          // a form is being filled in: what is absent or empty is no fault
	Advise     bool          // say what would be allowed instead, too
	ExpiresIn  time.Duration // how long it would live; 0 is as the offering says
}

// Answer is a verdict for someone who has not decided yet.
type Answer struct {
	Verdict
	Allowance *Allowance // nil while the price or the environment is unknown, or when nothing limits it
	Advice    *Advice    // nil unless it was asked for
	Holds     []Hold     // what it would wait for if it were asked now; never nil
}

// Evaluate answers what Submit would, and stores nothing. A denial by a
// guardrail is an answer; who may not ask at all is Denied, which for a partial
// form holds once it names an owner. What is given and wrong is Invalid, every
// fault at once.
func (s *Service) Evaluate(ctx context.Context, p Principal, q Question) (Answer, error) {
	ask, err := s.question(ctx, p, q)
	if err != nil {
		return Answer{}, err
	}
	if err := s.fund(ctx, &ask, nil); err != nil {
		return Answer{}, err
	}
	verdict, input, err := s.Judge.weigh(ctx, ask)
	if err != nil {
		return Answer{}, err
	}
	if verdict.Budgets, err = s.Judge.budgets(ctx, ask.Balances, input.Price.ChargeMills); err != nil {
		return Answer{}, err
	}
	answer := Answer{Verdict: verdict}
	if ask.Environment.Name != "" {
		if answer.Allowance, err = s.Judge.Rules.Allowance(ctx, input); err != nil {
			return Answer{}, err
		}
		answer.Allowance.waive(verdict.Findings)
	}
	if answer.Holds, err = s.holdsNow(ctx, ask); err != nil {
		return Answer{}, err
	}
	if !q.Advise {
		return answer, nil
	}
	advice, err := s.Judge.Advise(ctx, ask)
	if err != nil {
		return Answer{}, err
	}
	advice.Presets, err = s.presets(ctx, p, q, ask.Offering)
	answer.Advice = &advice
	return answer, err
}

func (s *Service) question(ctx context.Context, p Principal, q Question) (Ask, error) {
	if !q.Partial {
		ask, err := s.prepare(ctx, p, q.Offering, q.Parameters, StageForm)
		if err == nil {
			ask.judged.Lifetime, err = ask.offering.lifetime(q.ExpiresIn)
		}
		return ask.judged, err
	}
	if err := person(p); err != nil {
		return Ask{}, err
	}
	offering, err := s.Catalog.Offering(q.Offering)
	if err != nil {
		return Ask{}, err
	}
	parameters, err := s.given(offering, q.Parameters)
	if err != nil {
		return Ask{}, err
	}
	ask, err := s.draft(offering, parameters)
	if err != nil {
		return Ask{}, err
	}
	if ask.Lifetime, err = offering.lifetime(q.ExpiresIn); err != nil {
		return Ask{}, err
	}
	ask.Principal = p
	if ask.Owner == "" {
		return ask, nil
	}
	return ask, s.Authorizer.Allow(ctx, Access{p, VerbSubmit, ask.Owner, ask.Environment.Name})
}

// draft is a partial ask. Parameters are as given leaves them; an environment
// that they name must exist.
func (s *Service) draft(o Offering, parameters Parameters) (Ask, error) {
	ask := Ask{
		Stage: StageForm, Action: Create, Partial: true, Offering: o, Name: parameters.Text(o.Roles.Name),
		Owner: OwnerRef(parameters.Text(o.Roles.Owner)), CostCenter: parameters.Text(o.Roles.CostCenter), At: s.Now().UTC(),
	}
	if name := parameters.Text(o.Roles.Environment); name != "" {
		environment, err := s.place(o, name)
		if err != nil {
			return Ask{}, err
		}
		ask.Environment = environment
	}
	kept, err := s.seal(o, ask.Environment.Pool, parameters, StageForm)
	ask.Parameters = unsealed(kept)
	return ask, err
}

// given checks what a form has so far and adds the defaults. Empty fields are
// left out, since a form sends those too.
func (s *Service) given(o Offering, parameters Parameters) (Parameters, error) {
	filled := Parameters{}
	names := make([]string, 0, len(o.Parameters))
	for _, p := range o.Parameters {
		names = append(names, p.Name)
	}
	for name, value := range parameters {
		if value == nil || value == "" {
			continue
		}
		filled[name] = value
		if !slices.Contains(names, name) {
			names = append(names, name) // for the catalog to refuse
		}
	}
	return s.Catalog.CheckPart(o, filled, names)
}

// presets are the offering's, each laid over what is given and judged as a form
// that is not filled in yet.
func (s *Service) presets(ctx context.Context, p Principal, q Question, o Offering) ([]JudgedPreset, error) {
	judged := make([]JudgedPreset, 0, len(o.Presets))
	for _, preset := range o.Presets {
		one := JudgedPreset{Name: preset.Name, Title: preset.Title, Parameters: preset.Parameters}
		over := Question{Offering: q.Offering, Parameters: Parameters{}, Partial: true, ExpiresIn: q.ExpiresIn}
		for _, layer := range []Parameters{q.Parameters, preset.Parameters} {
			for name, value := range layer {
				over.Parameters[name] = value
			}
		}
		ask, err := s.question(ctx, p, over)
		if kind := KindOf(err); err != nil && kind != Invalid && kind != Denied {
			return nil, err
		}
		if err == nil { // otherwise it does not go with what is given
			verdict, _, err := s.Judge.weigh(ctx, ask)
			if err != nil {
				return nil, err
			}
			one.Allowed = verdict.Allowed()
			if verdict.Estimate != nil {
				one.MonthlyCost = &verdict.Estimate.MonthlyCost
			}
		}
		judged = append(judged, one)
	}
	return judged, nil
}

// settled leaves out the findings about what has no value yet. Without an
// environment there is no limit to hold anything against, so all are.
func (a Ask) settled(findings []Finding) []Finding {
	if !a.Partial {
		return findings
	}
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Path, "/"), "/")
		value, isSet := a.Parameters[name]
		return a.Environment.Name == "" || name != "" && (!isSet || value == "")
	})
}
