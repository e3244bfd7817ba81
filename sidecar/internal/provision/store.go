package provision

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Store keeps the truth. Every method may block on the database and answers
// Unavailable when it is down; then nothing has changed, or the same call may be
// repeated with the same effect.
type Store interface {
	// Accept commits a record made by Accepted, with its events, verdicts and
	// outbox rows, in one transaction. A live instance of that name, or a live
	// request of that instance, is a Conflict; a request with the same
	// RequestedBy and IdempotencyKey is a *Replay; an instance whose output the
	// record takes and that is going, or the end of one whose output another takes,
	// is a Conflict; a budget that has less left
	// than the record takes is ErrBudget. Nothing is stored then.
	Accept(ctx context.Context, r *Record) error

	// Refuse commits a record made by Refused. It answers *Replay as Accept does.
	Refuse(ctx context.Context, r *Record) error

	// Change reads the record of a request under a lock, lets decide change it,
	// and commits what it changed with its events. An error of decide is
	// returned as it is and nothing is stored. An unknown id is NotFound; a budget
	// that has less left than decide took is ErrBudget.
	Change(ctx context.Context, requestID uuid.UUID, decide func(*Record) error) (*Record, error)

	// ChangeRun is Change by the id of a run. The record has that run as its
	// Run, even when the request has had a newer one; Claim and the like refuse
	// such a run because it has ended.
	ChangeRun(ctx context.Context, runID uuid.UUID, decide func(*Record) error) (*Record, error)

	// Request and Instance read one; an unknown id is NotFound.
	Request(ctx context.Context, id uuid.UUID) (Request, error)
	Instance(ctx context.Context, id uuid.UUID) (Instance, error)

	// RequestByKey is what a person has asked for under an idempotency key;
	// NotFound when the key is new.
	RequestByKey(ctx context.Context, requestedBy, key string) (Request, error)

	// Requests and Instances are newest first.
	Requests(ctx context.Context, f RequestFilter) (Page[Request], error)
	Instances(ctx context.Context, f InstanceFilter) (Page[Instance], error)
	InstanceByName(ctx context.Context, offering, environment, name string) (Instance, error)

	// PreviewName is the name that an ephemeral environment has among those in an
	// environment, and keeps: the first of names that no other has which lives.
	PreviewName(ctx context.Context, environment string, preview uuid.UUID, names []string) (string, error)

	// Verdicts are every stored verdict of a request, oldest first.
	Verdicts(ctx context.Context, requestID uuid.UUID) ([]StageVerdict, error)

	// EventsAfter are the events of a request or instance with a higher
	// sequence, in order, at most limit.
	EventsAfter(ctx context.Context, subjectID uuid.UUID, sequence int64, limit int) ([]Event, error)

	// LogAfter are the log lines of a request after a position, in order.
	LogAfter(ctx context.Context, requestID uuid.UUID, after int64, limit int) ([]LogEntry, error)

	// Changes are the instances that changed after a cursor, at once or as soon
	// as there are any, waiting at most wait. An unusable cursor is Gone.
	Changes(ctx context.Context, cursor string, wait time.Duration) (InstanceChanges, error)

	// Snapshot is every living instance and a cursor for Changes.
	Snapshot(ctx context.Context) (InstanceChanges, error)

	// PushState keeps a state version; it is head when run's token is the
	// newest. LatestState is the head, NotFound when nothing was pushed.
	PushState(ctx context.Context, s StateVersion) (head bool, err error)
	LatestState(ctx context.Context, instanceID uuid.UUID) (StateVersion, error)

	// Journal is what was said of an instance's resources since its last good end,
	// oldest first.
	Journal(ctx context.Context, instanceID uuid.UUID) ([]JournalEntry, error)

	// KeepPlan keeps a run's sealed plan, at most 16 MiB (else Invalid), until its
	// request has ended; an earlier one of the request is dropped. KeptPlan reads
	// it by the run; NotFound when there is none.
	KeepPlan(ctx context.Context, requestID, runID uuid.UUID, sealed []byte) error
	KeptPlan(ctx context.Context, runID uuid.UUID) ([]byte, error)

	// Approvals are the requests that wait for approval by a person and have not
	// got it, oldest first, at most limit.
	Approvals(ctx context.Context, person string, limit int) ([]Request, error)

	// Pauses are those in force, oldest first. BeginPause stores one and tells of
	// it, and answers it with the database's time; what is paused already is
	// answered when it is by the same person for the same reason, else a Conflict.
	// EndPause ends one and tells of it; one that has ended is left so.
	Pauses(ctx context.Context) ([]Pause, error)
	BeginPause(ctx context.Context, p Pause) (Pause, error)
	EndPause(ctx context.Context, id uuid.UUID, by string) error
	// ChangeDrift is Change for an instance and its drift check. An unknown id is
	// NotFound.
	ChangeDrift(ctx context.Context, instanceID uuid.UUID, decide func(*DriftRecord) error) (*DriftRecord, error)
	// Dependants are the living instances that take an output of one, or are to by
	// a request that has not ended, by name.
	Dependants(ctx context.Context, instanceID uuid.UUID) ([]Dependant, error)
	// DriftCheck is the check of an instance; the zero value when none was ever due.
	DriftCheck(ctx context.Context, instanceID uuid.UUID) (DriftCheck, error)
	// DueChecks are ready instances whose check is due and in nobody's hands, the
	// longest due first.
	DueChecks(ctx context.Context, f DueChecks) ([]uuid.UUID, error)
	// Drifted are the living instances that have drift, at most limit, the newest
	// drift first; owners nil is all.
	Drifted(ctx context.Context, owners []string, limit int) ([]Instance, error)

	// Balances are what is taken by each of scopes, in their order, or by all that
	// have ever taken anything, by kind and name, when scopes is nil.
	Balances(ctx context.Context, scopes []Scope) ([]Balance, error)

	// Activity is what is known of an instance's use; the zero value when it was
	// never measured.
	Activity(ctx context.Context, instanceID uuid.UUID) (Activity, error)
	// Unused are the living instances that are unused, the longest first, answered
	// ones included; owners nil is all.
	Unused(ctx context.Context, owners []string, limit int) ([]UnusedInstance, error)

	// PutBundle keeps an offering's bundle by its digest; Bundle reads it.
	PutBundle(ctx context.Context, o Offering, bundle []byte) error
	Bundle(ctx context.Context, digest string) (Offering, []byte, error)

	// Versions are those of an offering, or of all with "", the latest served
	// first. ChangeVersion reads one, by its version or digest, under a lock, lets
	// decide change it, and commits that with the event that decide answers; nil
	// changes nothing. An unknown one is NotFound.
	Versions(ctx context.Context, offering string) ([]Version, error)
	ChangeVersion(ctx context.Context, offering, version string, decide func(*Version) (*Event, error)) (Version, error)

	// Candidates are the living instances of an offering that are not of the
	// version with digest, of these environments and owners (nil is any).
	Candidates(ctx context.Context, c Campaign) ([]CampaignMember, error)
	// AddCampaign commits a new campaign with its members, whose plans are due.
	AddCampaign(ctx context.Context, r *CampaignRecord, members []CampaignMember) error
	// Campaigns are all, the newest first, at most limit; RunningCampaigns are the
	// ids of those that run, the oldest first; Campaign is one with its members in
	// the order of their rings, each with the request of its KeyIn. An unknown id
	// is NotFound.
	Campaigns(ctx context.Context, limit int) ([]Campaign, error)
	RunningCampaigns(ctx context.Context) ([]uuid.UUID, error)
	Campaign(ctx context.Context, id uuid.UUID) (Campaign, []CampaignMember, error)
	// ChangeCampaign is Change for a campaign.
	ChangeCampaign(ctx context.Context, id uuid.UUID, decide func(*CampaignRecord) error) (Campaign, error)
	// DuePlans are members whose plan is due and in nobody's hands and whose
	// instances can be planned, the longest due first.
	DuePlans(ctx context.Context, f DueChecks) ([]uuid.UUID, error)
	// ChangePlan is ChangeDrift for a member and its plan; its instance is read and
	// not locked. An unknown id is NotFound.
	ChangePlan(ctx context.Context, member uuid.UUID, decide func(*PlanRecord) error) (*PlanRecord, error)
	// ReplanMembers makes plans due of members of campaigns that go on whose
	// instance has changed since they were planned.
	ReplanMembers(ctx context.Context) error

	// Measure counts what measures are made of, in one snapshot.
	Measure(ctx context.Context, w MeasureWindow) (Counts, error)

	// ImportTickets keeps each day's tickets; what was imported before for such a
	// day is replaced.
	ImportTickets(ctx context.Context, by string, tickets []TicketCount) error
}

// Replay says that the same key was used before: Request is what it made.
type Replay struct{ Request Request }

// Error makes Replay an error, for a Store to return.
func (r *Replay) Error() string {
	return "request " + r.Request.ID.String() + " has this idempotency key"
}

// Page is a part of a list; Next is "" on the last, else the cursor of what follows.
type Page[T any] struct {
	Items []T
	Next  string
}

// RequestFilter narrows a list of requests; the zero value is everything.
type RequestFilter struct {
	Owners      []string // any of these; nil is all
	RequestedBy string
	InstanceID  uuid.UUID
	States      []State
	Offering    string
	Environment string
	Cursor      string
	Limit       int // 1 to 100; 0 is 50
}

// InstanceFilter narrows a list of instances; the zero value is every living one.
type InstanceFilter struct {
	Owners      []string
	Ephemeral   bool      // only what is part of an ephemeral environment
	PreviewID   uuid.UUID // only what is part of this one; zero is any
	Offering    string
	Environment string
	Cursor      string
	Limit       int
}

// DueChecks narrows a list of due drift checks.
type DueChecks struct {
	Environments []string
	Asked        bool          // only those that a person has asked for, or that follow a request
	Late         time.Duration // only those due for at least so long
	Limit        int
}

// InstanceChanges are instances and the cursor that follows them. Gone ones
// are among them, for a reader to remove.
type InstanceChanges struct {
	Instances []Instance
	Cursor    string
}

// LogEntry is one log line with its position in the request's log.
type LogEntry struct {
	Position int64     `json:"position"`
	At       time.Time `json:"at"`
	Text     string    `json:"text"`
}

// Catalog knows the offerings that can be asked for.
type Catalog interface {
	// Offering is the published offering; an unknown id is NotFound.
	Offering(id string) (Offering, error)
	// Offerings are all of them, by id.
	Offerings() []Offering
	// Check validates parameters against the offering, applies defaults and
	// normalises values. Every fault at once is an Invalid error with Details.
	Check(o Offering, p Parameters) (Parameters, error)
	// CheckPart is Check for the named parameters alone, none of which need be
	// there.
	CheckPart(o Offering, p Parameters, names []string) (Parameters, error)
}

// Keys opens and seals what only Roadbed may read.
type Keys interface {
	// Seal encrypts for the pool's workers and the sidecar.
	Seal(pool string, plain []byte) ([]byte, error)
	// Open decrypts what was sealed for the sidecar.
	Open(sealed []byte) ([]byte, error)
	// Recipients are the public keys to seal a pool's state for.
	Recipients(pool string) ([]string, error)
}
