package client

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// kinds is the kind of error by the name that the API gives it.
var kinds = map[string]provision.Kind{
	"InputError":              provision.Invalid,
	"AuthenticationError":     provision.Unauthenticated,
	"NotAllowedError":         provision.Denied,
	"NotFoundError":           provision.NotFound,
	"ConflictError":           provision.Conflict,
	"GoneError":               provision.Gone,
	"ServiceUnavailableError": provision.Unavailable,
	"TooManyRequestsError":    provision.Unavailable,
	"PayloadTooLargeError":    provision.Invalid,
	"MethodNotAllowedError":   provision.Invalid,
}

// statuses is the kind of an answer that is not in the API's shape: something
// between us and the sidecar gave it. Nothing there knows what exists or what is
// allowed, so its 403, 404 and 409 are Internal: a worker that took them for the
// sidecar's word would drop a run or its state.
var statuses = map[int]provision.Kind{
	http.StatusUnauthorized:       provision.Unauthenticated,
	http.StatusTooManyRequests:    provision.Unavailable,
	http.StatusBadGateway:         provision.Unavailable,
	http.StatusServiceUnavailable: provision.Unavailable,
	http.StatusGatewayTimeout:     provision.Unavailable,
}

// refusalOf reads an error answer.
func refusalOf(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // a part is still more than nothing
	var body api.ErrorBody
	refused := &provision.Error{}
	if err := decode(text, &body); err == nil && body.Error.Message != "" {
		refused.Kind, refused.Message, refused.RequestID = kinds[body.Error.Name], body.Error.Message, body.Error.RequestId
		refused.Details, refused.Findings = body.Error.Details, body.Error.Findings
		refused.Alternatives = body.Error.Alternatives
	} else {
		refused.Kind = statuses[res.StatusCode]
		refused.Message = fmt.Sprintf("%s answered %q, and not as Roadbed's API does", res.Request.URL.Host, res.Status)
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		refused.RetryAfter = min(time.Duration(seconds)*time.Second, time.Minute)
	}
	return refused
}
