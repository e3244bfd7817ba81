package provision

import (
	"time"

	"github.com/google/uuid"
)

// Pause holds what has not been given a run yet until someone resumes it.
type Pause struct {
	ID     uuid.UUID `json:"id"`
	Kind   PauseKind `json:"kind"`
	Name   string    `json:"name"` // the offering's id or the pool's name; "" for everything
	Reason string    `json:"reason"`
	By     string    `json:"by"` // user entity ref
	At     time.Time `json:"at"`
}

// PauseKind is what a pause is of.
type PauseKind string

// The kinds of pause.
const (
	PauseOffering   PauseKind = "offering"
	PausePool       PauseKind = "pool"
	PauseEverything PauseKind = "everything"
)
