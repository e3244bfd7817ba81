package provision_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const hour = time.Hour

// living is an instance that is asked for with an end.
func (s *shop) living(t *testing.T, name string, lifetime time.Duration) provision.Request {
	t.Helper()
	sub := ask(name, "create-"+name)
	sub.ExpiresIn = lifetime
	request, err := s.Submit(t.Context(), ann, sub)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestLifetimesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "90m": 90 * time.Minute, "24h": 24 * hour, "7d": 7 * 24 * hour} {
		got, err := provision.ParseLifetime(text)
		if err != nil || got != want {
			t.Errorf("%q is %s (%v), want %s", text, got, err, want)
		}
	}
	for d, want := range map[time.Duration]string{90 * time.Minute: "90m", 24 * hour: "1d", 25 * hour: "25h", 61 * time.Second: "2m"} {
		if got := provision.LifetimeText(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
	for _, text := range []string{"24", "h", "-1h", "0h", "1.5h", "1w", "9999999h", "24 h"} {
		if got, err := provision.ParseLifetime(text); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%q is %s (%v), want invalid", text, got, err)
		}
	}
}

func TestALifeHasTheEndThatWasAskedForWithinItsOffering(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.published.Expiry = provision.ExpiryRules{MaximumSeconds: 48 * 3600, GraceSeconds: 3600}
	made := s.living(t, "orders", 24*hour)
	i := s.instance(t, made.InstanceID)
	if i.ExpiresAt == nil || i.ExpiresAt.Sub(i.CreatedAt) != 24*hour || i.ExpiresAt.Sub(*i.WarnAt) != 6*hour || i.DestroyAt.Sub(*i.ExpiresAt) != hour {
		t.Errorf("made %s it ends %v, warned %v, destroyed %v; want a day, 6 h before and 1 h after", i.CreatedAt, i.ExpiresAt, i.WarnAt, i.DestroyAt)
	}
	if s.input.LifetimeSeconds != 24*3600 || made.Lifetime != 24*hour {
		t.Errorf("the rules saw a life of %d s, the request has %s", s.input.LifetimeSeconds, made.Lifetime)
	}
	for partial := range map[bool]bool{true: true, false: true} {
		asked := provision.Question{Offering: "postgres-database", Parameters: ask("other", "").Parameters, Partial: partial, ExpiresIn: 36 * hour}
		if _, err := s.Evaluate(t.Context(), ann, asked); err != nil || s.input.LifetimeSeconds != 36*3600 {
			t.Errorf("looked at first (partial %t) the rules saw a life of %d s (%v), want a day and a half", partial, s.input.LifetimeSeconds, err)
		}
		asked.ExpiresIn = 72 * hour
		if _, err := s.Evaluate(t.Context(), ann, asked); provision.KindOf(err) != provision.Invalid {
			t.Errorf("three days, looked at first: %v, want invalid", err)
		}
	}
	sub := ask("orders", "create-orders")
	sub.ExpiresIn = 25 * hour
	if _, err := s.Submit(t.Context(), ann, sub); provision.KindOf(err) != provision.Conflict {
		t.Errorf("another life under the key: %v, want a conflict", err)
	}
	sub = ask("billing", "b")
	sub.ExpiresIn = 49 * hour
	if _, err := s.Submit(t.Context(), ann, sub); provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), "2d at most") {
		t.Errorf("above the maximum: %v, want invalid with the maximum", err)
	}
	endless := s.provisioned(t, "ledger")
	if i := s.instance(t, endless.InstanceID); i.ExpiresAt != nil || i.Lifetime != 0 {
		t.Errorf("without an end it ends %v", i.ExpiresAt)
	}
	s.published.Expiry.DefaultSeconds = 7200
	if i := s.instance(t, s.provisioned(t, "cache").InstanceID); i.Lifetime != 2*hour {
		t.Errorf("by default it lives %s, want the offering's 2 h", i.Lifetime)
	}
}

func TestAnExtensionCountsOnceItIsApplied(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.living(t, "orders", 24*hour)
	s.work(t, made.ID, `{"outputs": {}}`)
	before := s.instance(t, made.InstanceID)
	seen, err := s.PreviewExtension(t.Context(), ann, made.InstanceID, 6*hour)
	if err != nil || !seen.Allowed() || s.input.LifetimeSeconds != 30*3600 || s.input.LifetimeBeforeSeconds != 24*3600 || s.input.Stage != provision.StageForm {
		t.Errorf("looked at first: %+v (%v), the rules saw %d s after %d s; want 30 h after 24", seen.Outcome, err, s.input.LifetimeSeconds, s.input.LifetimeBeforeSeconds)
	}
	if i := s.instance(t, made.InstanceID); i.RequestID != before.RequestID {
		t.Error("looking at it asked for it")
	}
	longer, err := s.Extend(t.Context(), ann, made.InstanceID, 12*hour, change("e1", nil))
	if err != nil {
		t.Fatal(err)
	}
	if s.input.Action != provision.Extend || s.input.LifetimeSeconds != 36*3600 || s.input.LifetimeBeforeSeconds != 24*3600 {
		t.Errorf("the rules saw %s of %d s after %d s", s.input.Action, s.input.LifetimeSeconds, s.input.LifetimeBeforeSeconds)
	}
	if i := s.instance(t, made.InstanceID); !i.ExpiresAt.Equal(*before.ExpiresAt) {
		t.Errorf("before the apply it ends %s, want %s as it was", i.ExpiresAt, before.ExpiresAt)
	}
	again, err := s.Extend(t.Context(), ann, made.InstanceID, 12*hour, change("e1", nil))
	if err != nil || again.ID != longer.ID {
		t.Errorf("the same again: %s (%v), want %s", again.ID, err, longer.ID)
	}
	s.work(t, longer.ID, `{"outputs": {}}`)
	after := s.instance(t, made.InstanceID)
	if after.State != provision.Ready || after.ExpiresAt.Sub(*before.ExpiresAt) != 12*hour || after.ExpiresAt.Sub(*after.WarnAt) != 9*hour {
		t.Errorf("it is %s until %s, warned %s; want 12 h longer and warned a quarter of 36 h before", after.State, after.ExpiresAt, after.WarnAt)
	}
}

func TestWhatCannotBeExtendedIsSaid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.published.Expiry.MaximumSeconds = 48 * 3600
	if err := s.store.PutBundle(t.Context(), *s.published, []byte("files")); err != nil {
		t.Fatal(err)
	}
	endless := s.provisioned(t, "ledger")
	if _, err := s.Extend(t.Context(), ann, endless.InstanceID, hour, change("", nil)); provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), "without an end") {
		t.Errorf("extend what has no end: %v, want invalid", err)
	}
	made := s.living(t, "orders", 24*hour)
	if _, err := s.Extend(t.Context(), ann, made.InstanceID, hour, change("", nil)); provision.KindOf(err) != provision.Conflict {
		t.Errorf("extend while it is made: %v, want a conflict", err)
	}
	s.work(t, made.ID, `{"outputs": {}}`)
	if _, err := s.Extend(t.Context(), bob, made.InstanceID, hour, change("", nil)); provision.KindOf(err) != provision.Denied {
		t.Errorf("extend what is another team's: %v, want denied", err)
	}
	if _, err := s.Extend(t.Context(), ann, made.InstanceID, 0, change("", nil)); provision.KindOf(err) != provision.Invalid {
		t.Errorf("extend by nothing: %v, want invalid", err)
	}
}

func TestExpiryEndsThingsAsTheSystem(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	waiting := s.living(t, "orders", hour)
	ended, err := s.Expire(t.Context(), waiting.InstanceID)
	if err != nil || ended.ID != waiting.ID || ended.State != provision.Cancelled {
		t.Errorf("expire what was never made: %s is %s (%v), want its create cancelled", ended.ID, ended.State, err)
	}
	if _, err := s.Destroy(t.Context(), provision.Principal{Subject: provision.ExpirySubject}, s.living(t, "orders", hour).InstanceID, change("", nil)); provision.KindOf(err) != provision.Denied {
		t.Errorf("the system destroys what has not expired: %v, want denied", err)
	}
}

func TestTheEndIsToldOnceAndTriedAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.living(t, "orders", 24*hour)
	s.work(t, made.ID, `{"outputs": {}}`)
	i := s.instance(t, made.InstanceID)
	request, err := s.store.Request(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	at := func(now time.Time) *provision.Record { return provision.NewRecord(request, &i, nil, now) }
	told := func(r *provision.Record, verb string) bool {
		t.Helper()
		events := r.Events()
		return len(events) == 1 && events[0].Entity == "instance" && events[0].Verb == verb && events[0].SubjectID == i.ID
	}
	early := at(i.WarnAt.Add(-time.Second))
	if err := early.Warn(); err != nil || len(early.Events()) != 0 {
		t.Errorf("a second early it tells %v (%v)", early.Events(), err)
	}
	due := at(*i.WarnAt)
	if err := due.Warn(); err != nil || !told(due, "expiring") || i.WarnAt != nil {
		t.Errorf("when due it tells %v (%v), want that it is expiring", due.Events(), err)
	}
	if again := at(*i.ExpiresAt); again.Warn() != nil || len(again.Events()) != 0 {
		t.Errorf("again it tells %v", again.Events())
	}
	if early := at(i.DestroyAt.Add(-time.Second)); early.Expired("") != nil || len(early.Events()) != 0 {
		t.Errorf("a second before its end it tells %v", early.Events())
	}
	end := *i.DestroyAt
	refused := at(end)
	if err := refused.Expired("a freeze"); err != nil || !told(refused, "expired") || refused.Events()[0].Data["reason"] != "a freeze" || !i.DestroyAt.Equal(end.Add(hour)) {
		t.Errorf("refused it tells %v and is tried again %s (%v), want the reason and an hour later", refused.Events(), i.DestroyAt, err)
	}
}

func TestAnExpiredInstanceIsDestroyedUnderTheSamePolicy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.living(t, "orders", hour)
	s.work(t, made.ID, `{"outputs": {}}`)
	s.deny = "dev"
	refused, err := s.Expire(t.Context(), made.InstanceID)
	if provision.KindOf(err) != provision.Denied || refused.State != provision.DeniedState || refused.RequestedBy != provision.ExpirySubject {
		t.Errorf("what policy refuses: %s by %s (%v), want a stored denial", refused.State, refused.RequestedBy, err)
	}
	s.deny = ""
	end, err := s.Expire(t.Context(), made.InstanceID)
	if err != nil || end.Action != provision.Destroy || end.RequestedBy != provision.ExpirySubject {
		t.Fatalf("expire: %s by %s (%v), want a destroy by the system", end.Action, end.RequestedBy, err)
	}
	if _, err := s.Expire(t.Context(), made.InstanceID); provision.KindOf(err) != provision.Conflict {
		t.Errorf("expire while it is being destroyed: %v, want a conflict", err)
	}
	if _, err := s.Expire(t.Context(), uuid.New()); provision.KindOf(err) != provision.NotFound {
		t.Errorf("expire what is unknown: %v, want not found", err)
	}
	s.work(t, end.ID, `{"outputs": {}}`)
	if i := s.instance(t, made.InstanceID); i.State != provision.Destroyed {
		t.Errorf("it is %s, want destroyed", i.State)
	}
	if again, err := s.Submit(t.Context(), ann, ask("orders", "anew")); err != nil || again.State != provision.Queued {
		t.Errorf("its name is not free: %s (%v)", again.State, err)
	}
}
