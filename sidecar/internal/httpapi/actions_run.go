package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func listOfferingsAction(_ context.Context, s *Server, _ provision.Principal, input []byte) (any, error) {
	if err := decodeStrict(input, &struct{}{}); err != nil {
		return nil, err
	}
	type offered struct {
		ID          string `json:"id"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
		Parameters  any    `json:"parameters"`
	}
	answer := struct {
		Offerings    []offered `json:"offerings"`
		Environments []string  `json:"environments"`
	}{[]offered{}, slices.Sorted(maps.Keys(s.Service.Environments))}
	for _, o := range s.Service.Catalog.Offerings() {
		view := offeringView(o)
		answer.Offerings = append(answer.Offerings, offered{o.ID, o.Name, o.Description, o.Version, view.Schema})
	}
	return answer, nil
}

func checkAction(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error) {
	var in struct {
		Offering   string               `json:"offering"`
		Parameters provision.Parameters `json:"parameters"`
		Secrets    provision.Parameters `json:"secrets"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	answer, err := s.Service.Evaluate(ctx, p, provision.Question{Offering: in.Offering, Parameters: together(in.Parameters, in.Secrets), Advise: true})
	if err != nil {
		return s.refusedOutcome(err)
	}
	out := outcome{Decision: string(answer.Outcome), Accepted: answer.Acceptable(), Reasons: reasonsOf(answer.Findings), Estimate: estimateText(answer.Estimate)}
	head := map[bool]string{true: "This is allowed.", false: "This is not allowed."}[answer.Acceptable()]
	if answer.Outcome == provision.OutcomeRequireApproval {
		head = "This needs approval."
	}
	lines := append([]string{strings.TrimSpace(head + " " + out.Estimate)}, out.Reasons...)
	if answer.Advice != nil && !answer.Acceptable() {
		lines = append(lines, provision.SmallestChanges(answer.Advice.Alternatives))
	}
	out.Text = joined(lines)
	return out, nil
}

func submitAction(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error) {
	var in struct {
		Offering   string               `json:"offering"`
		Parameters provision.Parameters `json:"parameters"`
		Secrets    provision.Parameters `json:"secrets"`
		RequestKey string               `json:"requestKey"`
		ExpiresIn  string               `json:"expiresIn"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	lifetime, err := provision.ParseLifetime(in.ExpiresIn)
	if err != nil {
		return s.refusedOutcome(err)
	}
	sub, err := submissionOf(p, "submit", in.RequestKey, input)
	if err != nil {
		return s.refusedOutcome(err)
	}
	sub.Offering, sub.Parameters, sub.ExpiresIn = in.Offering, together(in.Parameters, in.Secrets), lifetime
	request, err := s.Service.Submit(ctx, p, sub)
	return s.askOutcome(p, request, err)
}

func updateAction(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error) {
	var in struct {
		Instance   string               `json:"instance"`
		Parameters provision.Parameters `json:"parameters"`
		Secrets    provision.Parameters `json:"secrets"`
		RequestKey string               `json:"requestKey"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	instance, err := s.Service.InstanceNamed(ctx, p, in.Instance)
	if err != nil {
		return s.refusedOutcome(err)
	}
	sub, err := submissionOf(p, "update", in.RequestKey, input)
	if err != nil {
		return s.refusedOutcome(err)
	}
	sub.Parameters = together(in.Parameters, in.Secrets)
	request, err := s.Service.Update(ctx, p, instance.ID, sub)
	return s.askOutcome(p, request, err)
}

func destroyAction(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error) {
	var in struct {
		Instance   string `json:"instance"`
		Confirm    string `json:"confirm"`
		RequestKey string `json:"requestKey"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	instance, err := s.Service.InstanceNamed(ctx, p, in.Instance)
	if err != nil {
		return s.refusedOutcome(err)
	}
	if in.Confirm != instance.Name {
		return s.refusedOutcome(provision.Errorf(provision.Invalid, "confirm is %s; to destroy %s, give its name", quoted(in.Confirm), instance.Name))
	}
	sub, err := submissionOf(p, "destroy", in.RequestKey, input)
	if err != nil {
		return s.refusedOutcome(err)
	}
	sub.Confirm = in.Confirm
	request, err := s.Service.Destroy(ctx, p, instance.ID, sub)
	return s.askOutcome(p, request, err)
}

func expectAction(_ context.Context, _ *Server, _ provision.Principal, input []byte) (any, error) {
	var in struct {
		Accepted bool   `json:"accepted"`
		Text     string `json:"text"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	if !in.Accepted {
		return nil, provision.Errorf(provision.Denied, "%s", cmp.Or(in.Text, "it was not accepted"))
	}
	return map[string]bool{"accepted": true}, nil
}

// followed is the output of get-request.
type followed struct {
	Found      bool           `json:"found"`
	Text       string         `json:"text"`
	State      string         `json:"state"`
	Done       bool           `json:"done"`
	Status     string         `json:"status"`
	Steps      []followedStep `json:"steps"`
	Outputs    map[string]any `json:"outputs"`
	Error      string         `json:"error"`
	EntityRef  string         `json:"entityRef"`
	RequestURL string         `json:"requestUrl"`
}

type followedStep struct {
	Step    int    `json:"step"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Details string `json:"details"`
}

func getRequestAction(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error) {
	var in struct {
		RequestID string `json:"requestId"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	none := followed{Steps: []followedStep{}, Outputs: map[string]any{}}
	id, err := parseID(in.RequestID)
	if err == nil {
		var request provision.Request
		if request, err = s.Service.Request(ctx, p, id); err == nil {
			return s.followed(request, p), nil
		}
	}
	refused, err := s.refusedOutcome(err)
	none.Text = refused.Text
	return none, err
}

func (s *Server) followed(r provision.Request, p provision.Principal) followed {
	view := s.requestView(r, p, s.Now())
	f := followed{
		Found: true, State: string(r.State), Done: r.State.Terminal(), Status: string(view.Status), Steps: []followedStep{}, Outputs: map[string]any{},
		EntityRef: view.EntityRef, RequestURL: s.pageOf(r.ID),
	}
	lines := []string{fmt.Sprintf("%s of %s in %s is %s.", sentence(string(r.Action)), r.Name, r.Environment, strings.ReplaceAll(string(r.State), "_", " "))}
	if r.Waiting != "" {
		lines = append(lines, r.Waiting)
	}
	for _, step := range view.Steps {
		f.Steps = append(f.Steps, followedStep{step.Step, step.Name, string(step.Status), step.Details})
		if step.Status == provision.StepInProgress {
			lines = append(lines, fmt.Sprintf("Step %d of %d: %s.", step.Step, len(view.Steps), step.Name))
		}
	}
	if r.State == provision.Succeeded {
		maps.Copy(f.Outputs, r.Outputs)
	}
	if r.Error != nil {
		f.Error = joined([]string{r.Error.Message, r.Error.WayOut})
		lines = append(lines, f.Error)
	}
	f.Text = joined(lines)
	return f
}

func listInstancesAction(ctx context.Context, s *Server, p provision.Principal, input []byte) (any, error) {
	var in struct {
		Offering    string `json:"offering"`
		Environment string `json:"environment"`
	}
	if err := decodeStrict(input, &in); err != nil {
		return nil, err
	}
	found, err := s.Service.Instances(ctx, p, provision.InstanceFilter{Offering: in.Offering, Environment: in.Environment, Limit: 100})
	if err != nil {
		return nil, err
	}
	type living struct {
		ID          uuid.UUID            `json:"id"`
		EntityRef   string               `json:"entityRef"`
		Name        string               `json:"name"`
		Offering    string               `json:"offering"`
		Environment string               `json:"environment"`
		Owner       string               `json:"owner"`
		State       string               `json:"state"`
		MonthlyCost string               `json:"monthlyCost"`
		Parameters  provision.Parameters `json:"parameters"`
		Outputs     map[string]any       `json:"outputs"`
	}
	answer := struct {
		Instances []living `json:"instances"`
		More      bool     `json:"more"`
	}{[]living{}, found.Next != ""}
	for _, i := range found.Items {
		l := living{i.ID, i.EntityRef(), i.Name, i.Offering, i.Environment, i.Owner, string(i.State), "", i.Shown(), i.Outputs}
		if i.MonthlyCost != nil {
			l.MonthlyCost = i.MonthlyCost.String()
		}
		if l.Outputs == nil {
			l.Outputs = map[string]any{}
		}
		answer.Instances = append(answer.Instances, l)
	}
	return answer, nil
}

// submissionOf is an ask by an action, made once for each key and input.
func submissionOf(p provision.Principal, name, requestKey string, input []byte) (provision.Submission, error) {
	sub := provision.Submission{}
	if requestKey == "" {
		return sub, nil
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(input))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return sub, err
	}
	same, err := json.Marshal(plain) // members in order, whoever has sent them
	if err != nil {
		return sub, err
	}
	sum := sha256.Sum256(append([]byte(name+"\n"+requestKey+"\n"), same...))
	sub.IdempotencyKey = "action:" + hex.EncodeToString(sum[:])
	if p.Actor == "plugin:scaffolder" {
		sub.Task, err = taskOf(&api.Source{Task: requestKey})
	}
	return sub, err
}

func together(parameters, secrets provision.Parameters) provision.Parameters {
	all := provision.Parameters{}
	maps.Copy(all, parameters)
	maps.Copy(all, secrets)
	return all
}
