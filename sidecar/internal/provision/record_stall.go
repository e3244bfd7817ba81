package provision

// Stall tells of the steps that have stalled, by how long others took; of each
// once. It changes nothing of a request that has ended.
func (r *Record) Stall(t Timing) {
	if r.Request.State.Terminal() {
		return
	}
	t.Now = r.now
	for _, stall := range Stalled(r.Request, t) {
		step := &r.Request.Steps[stall.Step-1]
		if step.StalledAt != nil {
			continue
		}
		at := r.now
		step.StalledAt, r.Request.UpdatedAt = &at, r.now
		r.tell("step", "stalled", r.Request.ID, map[string]any{
			"step": step.Step, "name": step.Name, "status": step.Status, "details": stall.String(),
			"after_seconds": stall.After.Seconds(), "basis": stall.Basis,
		})
	}
}
