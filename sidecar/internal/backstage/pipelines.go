package backstage

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// PipelineConfig is the file that says whose pipelines may ask for ephemeral
// environments, for whom.
type PipelineConfig struct {
	Issuers []PipelineIssuer `yaml:"issuers"`
}

// PipelineIssuer is who says for which repository a pipeline runs, by OpenID
// Connect.
type PipelineIssuer struct {
	Issuer     string          `yaml:"issuer"`     // claim iss, exactly
	Audience   string          `yaml:"audience"`   // among the claim aud
	KeysFile   string          `yaml:"keys_file"`  // its key set (RFC 7517); "" asks its discovery document
	Algorithms []string        `yaml:"algorithms"` // nil is RS256 alone
	Claims     ClaimNames      `yaml:"claims"`
	Grants     []PipelineGrant `yaml:"grants"` // the first whose claims are met counts
}

// ClaimNames are where a token says what Roadbed asks of it; the zero value is
// GitHub's.
type ClaimNames struct {
	Repository  string `yaml:"repository"`   // "" is repository
	PullRequest string `yaml:"pull_request"` // holds refs/pull/<number>/…; "" is ref
}

// PipelineGrant lets pipelines whose tokens have these claims act for a team.
type PipelineGrant struct {
	Claims  map[string]string `yaml:"claims"` // all of them, exactly
	Owner   string            `yaml:"owner"`  // team, as an entity ref or a bare name
	AnyPull bool              `yaml:"any_pull_request"`
}

// ParsePipelines reads the file of pipelines. Its error has every fault.
func ParsePipelines(text []byte) (PipelineConfig, error) {
	var c PipelineConfig
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		return PipelineConfig{}, fmt.Errorf("read pipelines: %w", err)
	}
	var faults []error
	if len(c.Issuers) == 0 {
		faults = append(faults, errors.New("it needs issuers"))
	}
	seen := map[string]bool{}
	for i := range c.Issuers {
		issuer := &c.Issuers[i]
		for _, fault := range issuer.complete() {
			faults = append(faults, fmt.Errorf("issuer %q: %w", issuer.Issuer, fault))
		}
		if seen[issuer.Issuer] {
			faults = append(faults, fmt.Errorf("issuer %q is there twice; give it one list of grants", issuer.Issuer))
		}
		seen[issuer.Issuer] = true
	}
	if err := errors.Join(faults...); err != nil {
		return PipelineConfig{}, fmt.Errorf("read pipelines: %w", err)
	}
	return c, nil
}

// complete fills in what may be left out and answers what is wrong.
func (i *PipelineIssuer) complete() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if u, err := url.Parse(i.Issuer); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		fault("give issuer as its tokens have it in iss, such as https://token.actions.githubusercontent.com")
	}
	if i.Audience == "" {
		fault("give audience, and have pipelines ask for tokens with it: one that is meant for somebody else must open nothing here")
	}
	if i.Algorithms == nil {
		i.Algorithms = []string{"RS256"}
	}
	for _, alg := range i.Algorithms {
		if _, ok := families[alg]; !ok {
			fault("algorithm %q is not accepted; choose among ES256, ES384, ES512, RS256, PS256 and EdDSA", alg)
		}
	}
	if i.Claims.Repository == "" {
		i.Claims.Repository = "repository"
	}
	if i.Claims.PullRequest == "" {
		i.Claims.PullRequest = "ref"
	}
	if len(i.Grants) == 0 {
		fault("it needs grants: which claims act for which owner")
	}
	for n := range i.Grants {
		grant := &i.Grants[n]
		if grant.Claims[i.Claims.Repository] == "" {
			fault("grant %d does not name the claim %s; without it everyone's pipelines at this issuer would be let in", n+1, i.Claims.Repository)
		}
		if grant.Owner == "" {
			fault("grant %d needs owner, the team that it acts for", n+1)
		}
		grant.Owner = provision.OwnerRef(grant.Owner)
	}
	return faults
}

// Pipelines turns the tokens of listed issuers into principals and leaves all
// others to who comes next. It may be used from many goroutines.
type Pipelines struct {
	issuers map[string]*pipelineIssuer
	next    authenticator
}

// pipelineIssuer is an issuer with its keys.
type pipelineIssuer struct {
	PipelineIssuer
	verifier verifier
	http     *http.Client
	now      func() time.Time

	mu     sync.Mutex
	keysAt string    // URL of its key set, once its discovery document has said so
	asked  time.Time // when it last was
	asking bool      // somebody is at it
}

// NewPipelines lets the pipelines of c in, before next.
func NewPipelines(c PipelineConfig, next authenticator, now func() time.Time, log *slog.Logger) (*Pipelines, error) {
	p := &Pipelines{issuers: map[string]*pipelineIssuer{}, next: next}
	client := newHTTPClient()
	for _, issuer := range c.Issuers {
		i := &pipelineIssuer{PipelineIssuer: issuer, http: client, now: now}
		i.verifier = verifier{newKeySets(client, now, log, issuer.Issuer), issuer.Algorithms, now}
		if issuer.KeysFile != "" {
			text, err := os.ReadFile(issuer.KeysFile)
			if err != nil {
				return nil, fmt.Errorf("read the keys of %s: %w", issuer.Issuer, err)
			}
			keys, err := decodeKeySet(text)
			if err != nil {
				return nil, fmt.Errorf("read the keys of %s in %s: %w", issuer.Issuer, issuer.KeysFile, err)
			}
			i.verifier.keys = fixedKeys(keys)
		}
		p.issuers[issuer.Issuer] = i
	}
	return p, nil
}

// fixedKeys is a key set that was given, whatever the URL.
type fixedKeys []verifyKey

func (k fixedKeys) key(_ context.Context, _, alg, kid string) (crypto.PublicKey, error) {
	return keySet{keys: k}.find(alg, kid)
}

// Authenticate is who sent an Authorization header, as an Authenticator has it.
func (p *Pipelines) Authenticate(ctx context.Context, authorization string) (provision.Principal, error) {
	raw, err := bearerToken(authorization)
	if err != nil {
		return provision.Principal{}, err
	}
	t, err := parse(raw)
	if err != nil {
		return provision.Principal{}, err
	}
	issuer, listed := p.issuers[t.claim("iss")]
	if !listed {
		return p.next.Authenticate(ctx, authorization)
	}
	return issuer.principal(ctx, t)
}

// principal is the pipeline that a token speaks of, once it has been verified.
func (i *pipelineIssuer) principal(ctx context.Context, t unverified) (provision.Principal, error) {
	if audience, err := t.claims.GetAudience(); err != nil || !slices.Contains(audience, i.Audience) {
		return provision.Principal{}, refused("Failed pipeline token verification: ask %s for a token with the audience %q", i.Issuer, i.Audience)
	}
	keys, err := i.keys(ctx)
	if err != nil {
		return provision.Principal{}, err
	}
	if _, err := i.verifier.verify(ctx, t, keys); err != nil {
		return provision.Principal{}, err
	}
	repository := t.claim(i.Claims.Repository)
	for _, grant := range i.Grants {
		if !grant.met(t.claims) {
			continue
		}
		number := 0
		if !grant.AnyPull {
			if number = pullNumber(t.claim(i.Claims.PullRequest)); number == 0 {
				return provision.Principal{}, refused("Failed pipeline token verification: its claim %s is %q, which is no pull request's; have the pipeline run for a pull request", i.Claims.PullRequest, shown(t.claim(i.Claims.PullRequest)))
			}
		}
		return provision.Principal{
			Subject: provision.CISubject(repository),
			CI:      &provision.CI{Repository: repository, PullRequest: number, Owner: grant.Owner},
		}, nil
	}
	return provision.Principal{}, refused("Failed pipeline token verification: no grant of %s is for its claims; the repository is %q", i.Issuer, shown(repository))
}

// met reports whether a token has every claim of the grant. A number or a
// boolean is compared as JSON writes it.
func (g PipelineGrant) met(claims jwt.MapClaims) bool {
	for name, want := range g.Claims {
		switch has := claims[name].(type) {
		case string:
			if has != want {
				return false
			}
		case bool, float64:
			if text, err := json.Marshal(has); err != nil || string(text) != want {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// pullRef is the ref that GitHub runs a pull request's pipeline for.
var pullRef = regexp.MustCompile(`^refs/pull/([1-9][0-9]{0,8})/(merge|head)$`)

// pullNumber is the number of a pull request in its ref; 0 when it is none.
func pullNumber(ref string) int {
	found := pullRef.FindStringSubmatch(ref)
	if found == nil {
		return 0
	}
	number, _ := strconv.Atoi(found[1]) // nine digits at most
	return number
}

// shown is a claim as it may be repeated to whoever sent it.
func shown(claim string) string { return claim[:min(len(claim), 100)] }

// keys is where the issuer's key set is. Its discovery document is asked at
// first and every hour; while it cannot be had, what it said last holds. Anybody
// can name an issuer, so one that does not answer is asked by one at a time and
// seldom, and all others are told so at once.
func (i *pipelineIssuer) keys(ctx context.Context) (string, error) {
	if i.KeysFile != "" {
		return "", nil
	}
	known, ask := i.turn()
	switch {
	case !ask && known == "":
		return "", provision.Unreachable(i.Issuer, errors.New("it is being asked for its discovery document, or did not answer a moment ago"))
	case !ask:
		return known, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout) // whoever asked may be gone
	defer cancel()
	keys, err := i.discover(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asking, i.asked = false, i.now()
	if err == nil {
		i.keysAt = keys
	}
	if i.keysAt == "" {
		return "", provision.Unreachable(i.Issuer, err)
	}
	return i.keysAt, nil
}

// turn is where the key set is as far as is known, and whether it is for the
// caller, alone, to ask again.
func (i *pipelineIssuer) turn() (known string, ask bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	rest := keysStale
	if i.keysAt == "" {
		rest = retryAfterFail
	}
	ask = !i.asking && i.now().Sub(i.asked) >= rest
	i.asking = i.asking || ask
	return i.keysAt, ask
}

// discover reads the issuer's discovery document: OpenID Connect Discovery 1.0,
// section 4.
func (i *pipelineIssuer) discover(ctx context.Context) (string, error) {
	status, body, err := get(ctx, i.http, strings.TrimRight(i.Issuer, "/")+"/.well-known/openid-configuration", "")
	if err != nil {
		return "", err
	}
	var said struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("its discovery document: status %d", status)
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return "", fmt.Errorf("its discovery document: %w", err)
	}
	keys, err := url.Parse(said.Keys)
	if err != nil || said.Issuer != i.Issuer || keys.Host == "" || keys.Scheme != "https" && !strings.HasPrefix(i.Issuer, "http://") {
		return "", fmt.Errorf("its discovery document is of %q with keys at %q", said.Issuer, said.Keys)
	}
	return said.Keys, nil
}
