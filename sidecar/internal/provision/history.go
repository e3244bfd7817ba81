package provision

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// The kinds of Past.
const (
	PastVerdict  = "verdict"  // a verdict that was given, as it is stored
	PastInstance = "instance" // a living instance, as if it were asked for at At
	PastApproval = "approval" // a request that waits for approval, or has it and is not yet applied
	PastOffering = "offering" // an offering version that later ones name by digest, for its price
)

// Past is one line of Roadbed's history for whoever decides it again: what the
// rules saw, and what they said. A line of an export is one Past in JSON.
type Past struct {
	Kind           string          `json:"kind"`
	RequestID      uuid.UUID       `json:"request_id,omitzero"`  // of a verdict: its request; of an instance: the newest
	InstanceID     uuid.UUID       `json:"instance_id,omitzero"` // zero for what was never accepted
	Stage          Stage           `json:"stage,omitempty"`
	Outcome        Outcome         `json:"outcome,omitempty"`         // "" for an instance
	Findings       []Finding       `json:"findings,omitempty"`        // what was said; empty for an instance
	BundleDigest   string          `json:"bundle_digest,omitempty"`   // of the policies that said it
	PricesDigest   string          `json:"prices_digest,omitempty"`   // of the prices; "" when there was no price
	OfferingDigest string          `json:"offering_digest,omitempty"` // names the offering that prices it
	Input          json.RawMessage `json:"input,omitempty"`           // a RuleInput; nil when none was stored
	At             time.Time       `json:"at,omitzero"`
	Approval       *Approval       `json:"approval,omitempty"` // of an approval alone; the rest is its request's newest verdict
	Offering       *Offering       `json:"offering,omitempty"` // of an offering alone
}

// HistoryFilter narrows a read of the past.
type HistoryFilter struct {
	Stages []Stage   // none is every stage
	Since  time.Time // zero is from the beginning
}
