package provision

import "regexp"

// remedy is what helps against a kind of error of Terraform, a provider or the
// platform behind it.
type remedy struct {
	name   string
	words  *regexp.Regexp
	wayOut string
}

func words(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + pattern) }

// remedies are tried in order: what is said more exactly stands first. The
// words are PostgreSQL's (errcodes and server messages), Terraform's own and
// the error codes of the AWS APIs.
var remedies = []remedy{
	{"state lock", words(`state lock|lock info|ConditionalCheckFailed`),
		"Another Terraform holds this state. Wait until it has ended, then retry; ask the platform team when nobody knows of one."},
	{"login refused", words(`password authentication failed|no pg_hba\.conf entry|InvalidClientTokenId|ExpiredToken|SignatureDoesNotMatch|AuthFailure|no valid credential sources|role "[^"]*" does not exist`),
		"The worker's own login is refused. Ask the platform team to renew its credentials, then retry."},
	{"no connection free", words(`too many (clients|connections)|remaining connection slots`),
		"The server has no connection free. Retry when fewer are open, or ask for a larger server."},
	{"disk full", words(`no space left on device|disk full|could not extend file|StorageFull`),
		"A disk is full. Ask the platform team to make room, then retry."},
	{"quota", words(`quota|LimitExceeded|limit exceeded|MaxLimit|InsufficientDBInstanceCapacity|InsufficientInstanceCapacity`),
		"The account's quota or the zone's capacity is used up. Ask for something smaller, or ask the platform team to raise the quota, then retry."},
	{"throttled", words(`throttl|rate exceeded|TooManyRequests|too many requests|status code: 429|SlowDown`),
		"The platform asks to be slower. Retry in a few minutes."},
	{"in use", words(`being accessed by other users|cannot be dropped because|DependencyViolation|DeleteConflict|is in use|still in use|BucketNotEmpty`),
		"Something still uses it. Close its connections or remove what depends on it, then retry."},
	{"protected", words(`deletion protection|prevent_destroy|cannot be destroyed|InvalidParameterCombination: Cannot delete protected`),
		"It is protected against removal. Take the protection off first, then retry."},
	{"already exists", words(`already exists|AlreadyExists|AlreadyOwnedByYou|BucketAlreadyExists|DuplicateObject|Duplicate[A-Z]\w+`),
		"Something of that name is there already, and Roadbed did not make it. Remove it if nobody needs it and retry, or ask under another name."},
	{"permission", words(`permission denied|must be (owner|superuser|able to)|insufficient privilege|AccessDenied|access denied|UnauthorizedOperation|not authorized|status code: 403|Forbidden`),
		"The worker's login may not do this. Ask the platform team to grant it, then retry."},
	{"provider missing", words(`failed to (query available provider packages|install provider)|could not (load|retrieve).*(plugin|provider)|provider registry|inconsistent dependency lock file`),
		"The worker cannot get a provider that the module needs. Ask the platform team to add it to the mirror, then retry."},
	{"unreachable", words(`connection refused|no such host|no route to host|network is unreachable|connection reset|i/o timeout|dial tcp|TLS handshake|could not connect`),
		"The platform cannot be reached from the worker. Retry once it is up; ask the platform team when it stays away."},
	{"timeout", words(`timed? ?out|deadline exceeded|did not end within|took too long|timeout while waiting`),
		"It took longer than it may. Retry: what was made so far is kept and not made again."},
	{"value refused", words(`invalid value for|InvalidParameter|ValidationException|validation failed|is not (a valid|supported)|unsupported`),
		"A value is refused. Change the parameter that the error names and ask again."},
}

// Remedy is what likely helps against an error, in the platform's own words; ""
// when nothing is known.
func Remedy(text string) string {
	for _, r := range remedies {
		if r.words.MatchString(text) {
			return r.wayOut
		}
	}
	return ""
}
