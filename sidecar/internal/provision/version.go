package provision

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ServeSubject is who makes known the versions that a folder of offerings has.
const ServeSubject = "system:serve"

// VersionState is how far a version of an offering has come.
type VersionState string

// A version's states.
const (
	Draft      VersionState = "draft"      // known, and asked for by nobody yet
	Published  VersionState = "published"  // creates and upgrades take the newest of these
	Deprecated VersionState = "deprecated" // still made where none is published, with a warning; what there is may stay
	Withdrawn  VersionState = "withdrawn"  // nothing new is made with it or upgraded to it
)

// Version is one version of an offering and how far it has come.
type Version struct {
	ID        uuid.UUID // the subject of its events
	Offering  string    // offering id
	Version   string
	Digest    string
	State     VersionState
	Reason    string // of its newest state, "" when none was given
	By        string // who gave it that state
	At        time.Time
	ServedAt  time.Time // of those published, the latest is asked for
	Sequence  int64
	Instances int // living instances that are of it
}

// versionMoves are the states that people can give a version, by its state. What
// was withdrawn or deprecated by mistake is published again.
var versionMoves = map[VersionState][]VersionState{
	Draft:      {Published, Withdrawn},
	Published:  {Deprecated, Withdrawn},
	Deprecated: {Published, Withdrawn},
	Withdrawn:  {Published},
}

// Move gives the version another state, at now, and tells of it: nil when it has
// that state already. What cannot follow is a Conflict; to take a version away
// from people without a reason is Invalid.
func (v *Version) Move(next VersionState, by, reason string, now time.Time) (*Event, error) {
	if v.State == next {
		return nil, nil
	}
	if !slices.Contains(versionMoves[v.State], next) {
		return nil, Errorf(Conflict, "version %s of %s is %s and cannot become %s", v.Version, v.Offering, v.State, next)
	}
	if reason == "" && next != Published {
		return nil, Errorf(Invalid, "say why with reason: whoever has it, or asks for it, reads that")
	}
	before := v.State
	v.State, v.Reason, v.By, v.At = next, reason, by, now.UTC()
	if next == Published {
		v.ServedAt = v.At
	}
	event := v.tell(before)
	return &event, nil
}

// Known is the event that tells of a version that was not known before.
func (v *Version) Known() Event { return v.tell("") }

func (v *Version) tell(before VersionState) Event {
	v.Sequence++
	verb := string(v.State)
	if v.State == Draft {
		verb = "drafted"
	}
	data := map[string]any{"offering": v.Offering, "version": v.Version, "digest": v.Digest, "by": v.By, "reason": v.Reason}
	if before != "" {
		data["before"] = before
	}
	return Event{
		ID: NewID(), Entity: "offering", Verb: verb, SubjectID: v.ID, Sequence: v.Sequence, Environment: everywhere, At: v.At, Data: data,
	}
}

// servedOf is the version that is made of what is asked for: the published one
// that was served last, else the deprecated one; nil when there is neither.
func servedOf(versions []Version) *Version {
	for _, state := range []VersionState{Published, Deprecated} {
		var newest *Version
		for i, v := range versions {
			if v.State == state && (newest == nil || v.ServedAt.After(newest.ServedAt)) {
				newest = &versions[i]
			}
		}
		if newest != nil {
			return newest
		}
	}
	return nil
}

// whyNone says why nothing is made of an offering that has versions.
func whyNone(title string, versions []Version) string {
	for _, v := range versions {
		if v.State == Withdrawn {
			return fmt.Sprintf("no version of %s is published; %s was withdrawn: %s", title, v.Version, v.Reason)
		}
	}
	return fmt.Sprintf("no version of %s is published yet; ask the platform team to publish one", title)
}
