package api

// Preview is ChangePreview: a verdict and the differences, in one object.
type Preview struct {
	Verdict
	ChangeDifference
}
