package provision

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Update asks for other parameters of an instance. sub.Parameters are those
// that change; null takes a parameter back to its default. It is judged and
// stored as Submit is, under the version that the instance was made by, and the
// instance stays what it was until the change has been applied. What may not
// change is Invalid, with every other fault at once; so is what changes
// nothing, unless the instance is incomplete. While another request of the
// instance has not ended it is a Conflict.
func (s *Service) Update(ctx context.Context, p Principal, instanceID uuid.UUID, sub Submission) (Request, error) {
	return s.alter(ctx, p, instanceID, Update, sub)
}

// alter is Update and Upgrade.
func (s *Service) alter(ctx context.Context, p Principal, instanceID uuid.UUID, action Action, sub Submission) (Request, error) {
	instance, err := s.forChange(ctx, p, instanceID)
	if err != nil {
		return Request{}, err
	}
	digest, err := bodyDigest(action, instanceID, sub.Parameters)
	if err != nil {
		return Request{}, err
	}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	ask, err := s.intend(ctx, p, instance, action, sub.Parameters, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	if err := ask.fault(); err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask.prepared, sub, changeSteps(ask.offering))
}

// forChange is an instance that p may ask things of.
func (s *Service) forChange(ctx context.Context, p Principal, id uuid.UUID) (Instance, error) {
	instance, err := s.Store.Instance(ctx, id)
	if err != nil {
		return Instance{}, err
	}
	if p.CI != nil {
		p = p.about(p.CI.Action, instance.Preview)
	}
	return instance, s.Authorizer.Allow(ctx, Access{p, VerbSubmit, instance.Owner, instance.Environment})
}

// repeated is the answer that this key has been given before; the zero request
// when it is new.
func (s *Service) repeated(ctx context.Context, p Principal, sub Submission, digest string) (Request, error) {
	if sub.IdempotencyKey == "" {
		return Request{}, nil
	}
	first, err := s.Store.RequestByKey(ctx, p.Subject, sub.IdempotencyKey)
	if KindOf(err) == NotFound && err != nil {
		return Request{}, nil
	}
	if err != nil {
		return Request{}, err
	}
	return s.replayed(&Replay{first}, Request{BodyDigest: digest})
}

// bodyDigest names an ask about an instance, to tell a repeat from a misuse of
// its key.
func bodyDigest(action Action, instance uuid.UUID, given Parameters) (string, error) {
	encoded, err := json.Marshal(given)
	if err != nil {
		return "", fmt.Errorf("encode parameters: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", action, instance, encoded))
	return hex.EncodeToString(sum[:]), nil
}

// idle is nil while something may be asked of an instance, else a Conflict that
// says why not.
func (s *Service) idle(ctx context.Context, instance Instance) error {
	newest, err := s.Store.Request(ctx, instance.RequestID)
	if err != nil {
		return err
	}
	if why := instance.Busy(newest); why != "" {
		return Errorf(Conflict, "%s", why)
	}
	return nil
}

// Busy says why nothing can be asked of the instance now; "" when it can. newest
// is its newest request.
func (i Instance) Busy(newest Request) string {
	switch {
	case i.State.Gone():
		return fmt.Sprintf("%s is %s; ask for it anew under the same name", i.Name, i.State)
	case !newest.State.Terminal():
		return fmt.Sprintf("request %s (%s) is still %s on %s; cancel it or wait for it to end", newest.ID, newest.Action, strings.ReplaceAll(string(newest.State), "_", " "), i.Name)
	}
	return ""
}

// intended is a change of an instance that is authorised and well formed. What
// must not change is in frozen.
type intended struct {
	prepared
	instance Instance
	changes  []ParameterChange
	frozen   []Fault
}

// ParameterChange is one parameter that a change would change.
type ParameterChange struct {
	Parameter string `json:"parameter"`
	Title     string `json:"title"`
	Before    any    `json:"before"` // nil when it is not set; of a sensitive one only that it is
	After     any    `json:"after"`
	Immutable bool   `json:"immutable"` // it must not change, so the whole is refused
}

// intend lays given over an instance's parameters and checks the whole against
// the offering that the action leads to. Every fault at once is Invalid, what must not change among them;
// when that is all that is wrong it is left to the caller.
func (s *Service) intend(ctx context.Context, p Principal, instance Instance, action Action, given Parameters, stage Stage) (intended, error) {
	now, offering, err := s.target(ctx, instance, action)
	if err != nil {
		return intended{}, err
	}
	return s.intendBy(ctx, p, instance, action, given, stage, versions{now, offering})
}

// versions are the offering that an instance is of, and the one that it would be
// of.
type versions struct{ now, then Offering }

// intendBy is intend for a version that is known.
func (s *Service) intendBy(ctx context.Context, p Principal, instance Instance, action Action, given Parameters, stage Stage, v versions) (intended, error) {
	now, offering := v.now, v.then
	environment, err := s.placeOf(instance)
	if err != nil {
		return intended{}, err
	}
	plain, kept := overlay(instance.Parameters, given)
	if action == Upgrade {
		carryOver(now, offering, instance, given, plain, kept)
	}
	checked, err := s.checkKept(offering, plain, kept)
	after := checked
	if err != nil {
		after = plain
	}
	for name := range kept {
		after[name] = instance.Parameters[name]
	}
	next := intended{instance: instance, changes: changesBetween(now, offering, instance.Parameters, after)}
	next.frozen = append(frozenFaults(offering, next.changes), renamedRoles(now, offering, instance, after)...)
	if err != nil {
		return intended{}, withFaults(err, next.frozen)
	}
	links, err := s.link(ctx, p, offering, instance.Environment, after, instance.Links)
	if err == nil {
		err = s.acyclic(ctx, instance, links)
	}
	if err != nil {
		return intended{}, withFaults(err, next.frozen)
	}
	next.changes = changesBetween(now, offering, instance.Parameters, after) // an id has become an entity ref
	sealed, err := s.sealNew(offering, environment.Pool, after, kept, stage)
	if err != nil {
		return intended{}, err
	}
	next.prepared = prepared{
		offering: offering, environment: environment, name: instance.Name, owner: instance.Owner,
		costCenter: sealed.Text(offering.Roles.CostCenter), sealed: sealed, links: links,
	}
	next.judged = Ask{
		Stage: stage, Action: action, Principal: p, Offering: offering, Environment: environment,
		Name: next.name, Owner: next.owner, CostCenter: next.costCenter,
		Parameters: unsealed(sealed), Before: unsealed(instance.Parameters), Was: wasOf(instance, now),
		Lifetime: instance.Lifetime, At: s.Now().UTC(),
	}
	return next, nil
}

// placeOf is the environment of an instance.
func (s *Service) placeOf(instance Instance) (Environment, error) {
	environment, ok := s.Environments[instance.Environment]
	if !ok {
		return Environment{}, Errorf(Conflict, "environment %q is no longer configured; ask the platform team to restore it first", instance.Environment)
	}
	return environment, nil
}

// fault is Invalid when the change must not or need not be made.
func (n intended) fault() error {
	if len(n.frozen) > 0 {
		return withFaults(nil, n.frozen)
	}
	if len(n.changes) == 0 && n.judged.Action == Update && n.instance.State != Incomplete {
		return Errorf(Invalid, "nothing would change: %s is as this asks already; give at least one parameter another value", n.instance.Name)
	}
	return nil
}

// overlay lays given over before. kept are the sealed values that stay: nobody
// can read them, so a form sends back that they are set, or nothing.
func overlay(before, given Parameters) (plain Parameters, kept map[string]bool) {
	plain, kept = Parameters{}, map[string]bool{}
	for name, value := range before {
		if _, sealed := Sealed(value); sealed {
			kept[name] = true
			continue
		}
		plain[name] = value
	}
	for name, value := range given {
		if kept[name] && isSetMark(value) {
			continue
		}
		delete(kept, name)
		plain[name] = value
	}
	return plain, kept
}

func isSetMark(value any) bool {
	mark, ok := value.(map[string]any)
	return ok && len(mark) == 1 && mark["set"] == true
}

// checkKept is Catalog.Check for parameters of which some are kept sealed and
// cannot be looked at.
func (s *Service) checkKept(o Offering, plain Parameters, kept map[string]bool) (Parameters, error) {
	if len(kept) == 0 {
		return s.Catalog.Check(o, plain)
	}
	names := plain.Names()
	var missing []Fault
	for _, p := range o.Parameters {
		if kept[p.Name] {
			continue
		}
		if plain[p.Name] == nil {
			names = append(names, p.Name) // for its default
			if p.Required {
				missing = append(missing, Fault{Path: "/" + p.Name, Message: p.Name + " is required"})
			}
		}
	}
	checked, err := s.Catalog.CheckPart(o, plain, names)
	if err != nil || len(missing) > 0 {
		return nil, withFaults(err, missing)
	}
	return checked, nil
}

// sealNew seals the sensitive values that are new.
func (s *Service) sealNew(o Offering, pool string, after Parameters, kept map[string]bool, stage Stage) (Parameters, error) {
	fresh := Parameters{}
	for name, value := range after {
		if !kept[name] {
			fresh[name] = value
		}
	}
	sealed, err := s.seal(o, pool, fresh, stage)
	if err != nil {
		return nil, err
	}
	for name := range kept {
		sealed[name] = after[name]
	}
	return sealed, nil
}

// changesBetween are the parameters that differ, in the order of the offering as
// it would be, then those that it does not have; never nil.
func changesBetween(now, then Offering, before, after Parameters) []ParameterChange {
	changes := []ParameterChange{}
	add := func(p Parameter) {
		if same(before[p.Name], after[p.Name]) {
			return
		}
		_, had := now.Parameter(p.Name)
		change := ParameterChange{
			Parameter: p.Name, Title: p.title(), Before: before[p.Name], After: after[p.Name],
			Immutable: then.frozen(p) && (had || now.Digest == then.Digest),
		}
		if p.Sensitive {
			change.Before, change.After = setMark(change.Before), setMark(change.After)
		}
		changes = append(changes, change)
	}
	for _, p := range then.Parameters {
		add(p)
	}
	for _, name := range after.Names() {
		if _, ok := then.Parameter(name); !ok {
			add(Parameter{Name: name})
		}
	}
	return append(changes, dropped(now, then, before)...)
}

// title is the parameter's label, its name when it has none.
func (p Parameter) title() string { return cmp.Or(p.Title, p.Name) }

func setMark(value any) any {
	if value == nil {
		return nil
	}
	return map[string]any{"set": true}
}

// same reports whether two values are the same JSON; one that is read from the
// store has other types for its numbers.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// frozen reports whether a parameter stays as it was when the instance was made.
func (o Offering) frozen(p Parameter) bool {
	return p.Immutable || slices.Contains([]string{o.Roles.Name, o.Roles.Environment, o.Roles.Owner}, p.Name)
}

func frozenFaults(o Offering, changes []ParameterChange) []Fault {
	var faults []Fault
	for _, c := range changes {
		if !c.Immutable {
			continue
		}
		wayOut := "ask for a new one with the other value, and destroy this"
		if c.Parameter == o.Roles.Owner {
			wayOut = "the owner changes by handing over"
		}
		faults = append(faults, Fault{
			Path:    "/" + c.Parameter,
			Message: fmt.Sprintf("%s is %v and stays so for good; leave it out, or %s", c.Parameter, text(c.Before), wayOut),
		})
	}
	return faults
}

func text(value any) string {
	if value == nil {
		return "not set"
	}
	return fmt.Sprint(value)
}

// withFaults is an Invalid error with more faults; of any other kind it stays
// what it is.
func withFaults(err error, more []Fault) error {
	all := &Error{Kind: Invalid}
	if err != nil {
		var shown *Error
		if !errors.As(err, &shown) || shown.Kind != Invalid {
			return err
		}
		*all = *shown
	}
	all.Details = append(slices.Clone(all.Details), more...)
	messages := []string{}
	if all.Message != "" {
		messages = append(messages, all.Message)
	}
	for _, f := range more {
		messages = append(messages, f.Message)
	}
	all.Message = strings.Join(messages, "; ")
	return all
}

// submitChange judges an ask about an instance and accepts it, as Submit does
// with a create.
func (s *Service) submitChange(ctx context.Context, p Principal, instance Instance, ask prepared, sub Submission, steps []StepDefinition) (Request, error) {
	return s.whileOthersSpend(ctx, &ask.judged, &instance, func() (Request, error) {
		request, err := s.judgeChange(ctx, p, instance, ask, sub)
		if err != nil {
			return Request{}, err
		}
		if !request.Verdict.Acceptable() {
			first, err := s.refuseChange(ctx, request)
			return first, s.withAlternatives(ctx, err, ask.judged)
		}
		return s.acceptChange(ctx, instance, request, steps)
	})
}

// judgeChange is the request that an ask about an instance makes, judged and
// not stored.
func (s *Service) judgeChange(ctx context.Context, p Principal, instance Instance, ask prepared, sub Submission) (Request, error) {
	verdict, err := s.Judge.Judge(ctx, ask.judged)
	if err != nil {
		return Request{}, err
	}
	asker := p.Subject
	if sub.Rollout != nil {
		asker = sub.Rollout.ApprovedBy
	}
	verdict, approval, err := s.approvalFor(ctx, verdict, asker)
	if err != nil {
		return Request{}, err
	}
	request := s.newRequest(ctx, p, sub, ask, verdict)
	request.InstanceID, request.Approval = instance.ID, approval
	return request, nil
}

// refuseChange stores a denied request about an instance, which stays as it is.
func (s *Service) refuseChange(ctx context.Context, request Request) (Request, error) {
	record := Refused(request, "", request.Verdict.At)
	if err := s.Store.Refuse(ctx, record); err != nil {
		return s.replayed(err, request)
	}
	return record.Request, denial(record.Request)
}

// acceptChange takes the instance for the request.
func (s *Service) acceptChange(ctx context.Context, instance Instance, request Request, steps []StepDefinition) (Request, error) {
	request.Generation = instance.Generation + 1
	instance.Generation, instance.RequestID = request.Generation, request.ID
	record := Accepted(request, instance, steps, request.Verdict.At)
	if err := s.accept(ctx, record); err != nil {
		return s.replayed(err, request)
	}
	return record.Request, nil
}

// changeSteps are what a person sees of a change: an offering's own steps speak
// of making, and what changes is Terraform's to find, so it is one step.
func changeSteps(o Offering) []StepDefinition { return stepsOf(Update, o) }

// stepsOf are changeSteps in the words of an action.
func stepsOf(action Action, o Offering) []StepDefinition {
	plan, apply := "Plan change", "Change resources"
	switch action {
	case Create:
		return o.Steps
	case Import:
		plan, apply = "Plan import", "Take over resources"
	case Rotate:
		plan, apply = "Plan rotation", "Make credentials anew"
	case HandOver:
		plan, apply = "Plan handing over", "Change owner and credentials"
	}
	return []StepDefinition{
		{Name: "Validate request", Phase: "validate"},
		{Name: plan, Phase: "plan"},
		{Name: apply, Addresses: resourceAddresses(o)},
	}
}

func resourceAddresses(o Offering) []string {
	var addresses []string
	for _, step := range o.Steps {
		addresses = append(addresses, step.Addresses...)
	}
	return addresses
}

// AvailableVersion is the version of its offering that an instance could be
// upgraded to; "" when it is of the published one, or when none is published.
func (s *Service) AvailableVersion(i Instance) string {
	published, err := s.Catalog.Offering(i.Offering)
	if err != nil || published.Digest == i.OfferingDigest {
		return ""
	}
	return published.Version
}
