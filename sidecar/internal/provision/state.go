package provision

import "slices"

// State is where a request stands.
type State string

// A request's states; docs/concepts.md has the table for readers.
const (
	Submitted        State = "submitted"         // judged and committed, as its first event
	Queued           State = "queued"            // waits for a slot, the instance or a window
	Planning         State = "planning"          // a worker has it: init, plan, Judge on the plan
	AwaitingApproval State = "awaiting_approval" // waits for people
	Applying         State = "applying"          // Terraform changes things
	Lost             State = "lost"              // its supervisor is silent during apply
	Succeeded        State = "succeeded"         // outputs are set
	Failed           State = "failed"            // error is set; what was made is still owned
	DeniedState      State = "denied"            // reasons are set
	Cancelled        State = "cancelled"         // reasons are set
)

var moves = map[State][]State{
	Submitted:        {Queued, DeniedState},
	Queued:           {Planning, DeniedState, Failed, Cancelled},
	Planning:         {AwaitingApproval, Applying, Queued, DeniedState, Failed, Cancelled},
	AwaitingApproval: {Queued, DeniedState, Cancelled},
	Applying:         {Succeeded, Failed, Cancelled, Lost},
	Lost:             {Applying, Planning, Succeeded, Failed},
}

// To is nil when a request in s may become next, else a Conflict.
func (s State) To(next State) error {
	if slices.Contains(moves[s], next) {
		return nil
	}
	return Errorf(Conflict, "a request that is %s cannot become %s", s, next)
}

// Terminal reports whether nothing follows s.
func (s State) Terminal() bool { return len(moves[s]) == 0 }

// States lists every state in the order of a life.
func States() []State {
	return []State{Submitted, Queued, Planning, AwaitingApproval, Applying, Lost, Succeeded, Failed, DeniedState, Cancelled}
}

// InstanceState is how an instance fares.
type InstanceState string

// An instance's states. Only destroyed and released free its name.
const (
	Reserved   InstanceState = "reserved"   // its create is accepted
	Ready      InstanceState = "ready"      // it is what was asked for
	Changing   InstanceState = "changing"   // an apply is changing it
	Incomplete InstanceState = "incomplete" // an apply began and failed, was cancelled or is lost
	Destroying InstanceState = "destroying" // an apply is destroying it
	Destroyed  InstanceState = "destroyed"  // it is gone
	Released   InstanceState = "released"   // its create ended before any apply
)

var instanceMoves = map[InstanceState][]InstanceState{
	Reserved:   {Changing, Released},
	Ready:      {Changing, Destroying},
	Changing:   {Ready, Incomplete},
	Incomplete: {Changing, Destroying, Ready, Destroyed},
	Destroying: {Destroyed, Incomplete},
}

// To is nil when an instance in s may become next, else a Conflict.
func (s InstanceState) To(next InstanceState) error {
	if slices.Contains(instanceMoves[s], next) {
		return nil
	}
	return Errorf(Conflict, "an instance that is %s cannot become %s", s, next)
}

// Gone reports whether the instance is no more and its name is free.
func (s InstanceState) Gone() bool { return s == Destroyed || s == Released }

// InstanceStates lists every instance state in the order of a life.
func InstanceStates() []InstanceState {
	return []InstanceState{Reserved, Ready, Changing, Incomplete, Destroying, Destroyed, Released}
}
