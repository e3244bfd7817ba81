package provision

// Reserves reports whether the request makes its instance, rather than asking
// something of one that is there: a create that is asked for again does not.
func (r Request) Reserves() bool { return r.Action == Create && r.Generation == 1 }

// become makes the instance what its request has asked for, now that it is so.
func (r *Record) become() {
	r.Instance.Parameters, r.Instance.MonthlyCost = r.Request.Parameters, r.Request.MonthlyCost
	r.Instance.OfferingVersion, r.Instance.OfferingDigest = r.Request.OfferingVersion, r.Request.OfferingDigest
	r.Instance.CostCenter = r.Request.CostCenter
}

// readyData is what an instance that is ready is told to be.
func (r *Record) readyData(data map[string]any) {
	data["generation"], data["offering_version"] = r.Request.Generation, r.Instance.OfferingVersion
	data["owner"], data["cost_center"] = r.Instance.Owner, r.Instance.CostCenter
	if r.Instance.MonthlyCost != nil {
		data["monthly_cost"] = *r.Instance.MonthlyCost
	}
}
