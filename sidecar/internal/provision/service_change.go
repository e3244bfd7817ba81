package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
