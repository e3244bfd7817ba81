package api

// Origin is where the ask came from, nil when it does not say.
func (b Alteration) Origin() *Source { return b.Source }

// Origin is where the ask came from, nil when it does not say.
func (b Upgrading) Origin() *Source { return b.Source }

// Origin is where the ask came from, nil when it does not say.
func (b Repetition) Origin() *Source { return b.Source }

// Origin is where the ask came from, nil when it does not say.
func (b Rotation) Origin() *Source { return b.Source }

// Origin is where the ask came from, nil when it does not say.
func (b HandOver) Origin() *Source { return b.Source }

// Origin is where the ask came from, nil when it does not say.
func (b Destruction) Origin() *Source { return b.Source }

// Origin is where the ask came from; nil when it did not say.
func (b DriftAnswered) Origin() *Source { return b.Source }

// Origin is where the ask came from, nil when it does not say.
func (b Extension) Origin() *Source { return b.Source }
