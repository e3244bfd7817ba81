package provision

import "strings"

// Reserves reports whether the request makes its instance, rather than asking
// something of one that is there: a create that is asked for again does not.
func (r Request) Reserves() bool { return r.Action.makes() && r.Generation == 1 }

// become makes the instance what its request has asked for, now that it is so.
func (r *Record) become() {
	r.Instance.Parameters, r.Instance.MonthlyCost = r.Request.Parameters, r.Request.MonthlyCost
	r.Instance.Links = r.Request.Links
	r.Instance.OfferingVersion, r.Instance.OfferingDigest = r.Request.OfferingVersion, r.Request.OfferingDigest
	r.Instance.CostCenter = r.Request.CostCenter
}

// wayOut is what to do about a run that ended without success: what likely
// helps against what was said, and what becomes of what was made.
func (r *Record) wayOut(said string, began bool) string {
	var ways []string
	if likely := Remedy(said); likely != "" {
		ways = append(ways, likely)
	}
	switch {
	case !began && len(ways) == 0 && r.Request.CancelReason == "":
		ways = append(ways, "Nothing was changed. Look at the log, then retry.")
	case began && r.Request.Action == Destroy:
		ways = append(ways, "What is left is kept and still owned: retry to go on.")
	case began:
		ways = append(ways, "What was made so far is kept: retry to go on from there, or destroy it.")
	}
	return strings.Join(ways, " ")
}

// readyData is what an instance that is ready is told to be.
func (r *Record) readyData(data map[string]any) {
	data["generation"], data["offering_version"] = r.Request.Generation, r.Instance.OfferingVersion
	data["owner"], data["cost_center"] = r.Instance.Owner, r.Instance.CostCenter
	data["credentials_version"] = r.Instance.CredentialsVersion
	if len(r.Instance.Links) > 0 {
		data["links"] = r.Instance.Links
	}
	if r.Instance.MonthlyCost != nil {
		data["monthly_cost"] = *r.Instance.MonthlyCost
	}
}

// credentialsVersion is the one that a run makes credentials by: the next, until
// the apply that makes them counts it.
func (r *Record) credentialsVersion() int64 {
	if (r.Request.Action == Rotate || r.Request.Action == HandOver) && r.Request.State == Planning {
		return r.Instance.CredentialsVersion + 1
	}
	return r.Instance.CredentialsVersion
}

// countCredentials counts what an apply is about to make. It counts before, not
// once it is well: an apply that ends half way has made some of them, and a
// later one that gave the old version would make them anew.
func (r *Record) countCredentials() { r.Instance.CredentialsVersion = r.credentialsVersion() }
