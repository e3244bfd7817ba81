package main

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/notify"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

type doctorServerCommand struct {
	sidecarConfig
	JSON bool `name:"json" help:"Print JSON."`
}

// Run looks at everything and changes nothing. It fails when anything must be
// mended.
func (c *doctorServerCommand) Run(ctx context.Context, out io.Writer) error {
	return c.examine(ctx).report(out, c.JSON)
}

func (c sidecarConfig) examine(ctx context.Context) (e examination) {
	if err := c.check(); err != nil {
		e.fail("settings", "correct the flag that it names", "%v", err)
	} else {
		e.ok("settings", "fit each other")
	}
	pools := c.examineFiles(&e)
	c.examinePolicyBundle(ctx, &e)
	c.examineNotifications(ctx, &e)
	c.examinePipelines(ctx, &e)
	c.examineDecisionLog(ctx, &e)
	c.examineKeys(&e, pools)
	c.examinePoolTokens(&e, pools)
	e.examineDatabase(ctx, c.Database)
	e.examineStates(ctx, c.State)
	stands, err := queue.Examine(ctx, queue.Config{URL: c.NATS, KeyFile: c.NATSKey, CAFile: c.NATSCA, Replicas: c.NATSReplicas, Pools: pools})
	e.examineNATS(stands, err, true)
	c.examineBackstage(ctx, &e)
	c.examinePortal(ctx, &e)
	c.examineFeed(&e)
	c.examineListeners(ctx, &e)
	c.examineOwnDoor(ctx, &e)
	return e
}

// examineFiles looks at what is served, and answers the environments' pools.
func (c sidecarConfig) examineFiles(e *examination) (pools []string) {
	d, err := c.load()
	if err != nil {
		e.fail("files", "roadbed lint names every fault", "%v", oneLineOf(err))
		return nil
	}
	e.ok("files", "%d offerings, %d environments, policies %s", len(d.catalog.Offerings()), len(d.environments), d.bundle.Digest()[:15])
	for _, environment := range d.environments {
		pools = append(pools, environment.Pool)
	}
	slices.Sort(pools)
	return slices.Compact(pools)
}

// examinePolicyBundle asks the service of policies once, as serve would.
func (c sidecarConfig) examinePolicyBundle(ctx context.Context, e *examination) {
	if c.PolicyFrom.Bundle == "" {
		return
	}
	if c.PolicyFrom.Token != "" {
		e.private("policy bundle token mode", c.PolicyFrom.Token)
	}
	from := c.PolicyFrom
	if from.Cache != "" {
		e.writable("policy bundle cache", from.Cache, "ROADBED_POLICY_BUNDLE_CACHE")
	}
	from.Cache = "" // what is served now is to be seen, and nothing is to be written
	service, err := from.open(policy.LiveConfig{Log: slog.New(slog.DiscardHandler), Adopt: func(*policy.Bundle) error { return nil }})
	if err != nil {
		e.fail("policy bundle key", "give the PEM file of the public key that bundles are signed for: ROADBED_POLICY_BUNDLE_KEY_FILE", "%v", oneLineOf(err))
		return
	}
	if _, err = service.Poll(ctx); err != nil {
		e.fail("policy bundle", "start that service, or correct ROADBED_POLICY_BUNDLE and its token", "it is not received: %v", oneLineOf(err))
		return
	}
	if err := service.Err(); err != nil {
		e.fail("policy bundle", "roadbed policy test, then roadbed policy bundle and publish it again", "it would be refused: %v", oneLineOf(err))
		return
	}
	e.ok("policy bundle", "received, and good")
}

// examineNotifications looks whether each channel can be reached.
func (c sidecarConfig) examineNotifications(ctx context.Context, e *examination) {
	config, err := c.notifications(nil)
	if err != nil {
		e.fail("notifications", "correct the file that ROADBED_NOTIFICATIONS_FILE names", "%v", oneLineOf(err))
		return
	}
	e.reported("notifications", "roadbed's machine must reach it, with that login and a certificate that it trusts (ca_file)", "can be reached", notify.Examine(ctx, config))
}

// examinePipelines looks whether the tokens of each issuer could be verified.
func (c sidecarConfig) examinePipelines(ctx context.Context, e *examination) {
	if c.Pipelines == "" {
		return
	}
	text, err := os.ReadFile(c.Pipelines)
	if err != nil {
		e.fail("pipelines", "correct ROADBED_PIPELINES_FILE", "%v", oneLineOf(err))
		return
	}
	config, err := backstage.ParsePipelines(text)
	if err != nil {
		e.fail("pipelines", "correct the file that ROADBED_PIPELINES_FILE names", "%v", oneLineOf(err))
		return
	}
	e.reported("pipelines of", "correct issuer or keys_file; the sidecar must reach the issuer", "its keys can be read", backstage.ExaminePipelines(ctx, config))
}

// examineKeys looks whether what is sealed for each pool can be opened here.
func (c sidecarConfig) examineKeys(e *examination, pools []string) {
	e.private("key mode", filepath.Join(c.KeysDir, keys.Sidecar+".key"))
	e.age("key age", "roadbed keys rotate --dir "+c.KeysDir+" --holder sidecar", filepath.Join(c.KeysDir, keys.Sidecar+".key"))
	if c.NATSKey != "" {
		e.private("nats key mode", c.NATSKey)
	}
	ring, err := keys.Load(c.KeysDir, keys.Sidecar)
	if err != nil {
		e.fail("keys", "roadbed keys create --dir "+c.KeysDir, "%v", oneLineOf(err))
		return
	}
	for _, pool := range pools {
		sealed, err := ring.Seal(pool, []byte("a word"))
		if err == nil {
			_, err = ring.Open(sealed)
		}
		if err != nil {
			e.fail("keys of pool "+pool, "roadbed keys create --dir "+c.KeysDir+" --pool "+pool, "%v", oneLineOf(err))
			continue
		}
		e.ok("keys of pool "+pool, "seal and open")
	}
}

func (c sidecarConfig) examinePoolTokens(e *examination, pools []string) {
	for _, pool := range slices.Sorted(maps.Keys(c.PoolTokens)) {
		file := c.PoolTokens[pool]
		e.private("token mode of pool "+pool, file)
		if _, err := readPoolTokens(map[string]string{pool: file}); err != nil {
			e.fail("token of pool "+pool, "openssl rand -hex 32 > "+file, "%v", oneLineOf(err))
			continue
		}
		e.ok("token of pool "+pool, "read")
	}
	for _, pool := range pools {
		if c.PoolTokens[pool] == "" {
			e.fail("token of pool "+pool, "ROADBED_POOL_TOKEN_FILES="+pool+"=<file with 32 characters or more>", "an environment uses the pool, and no worker of it could sign in")
		}
	}
}

// examineBackstage looks whether tokens are accepted both ways.
func (c sidecarConfig) examineBackstage(ctx context.Context, e *examination) {
	var endpoints []backstage.Endpoint
	for plugin, target := range c.Endpoints {
		endpoints = append(endpoints, backstage.Endpoint{Target: target, Plugins: []string{plugin}})
	}
	discovery, err := backstage.NewDiscovery(c.Backstage, endpoints)
	if err != nil {
		e.fail("backstage", "correct ROADBED_BACKSTAGE_URL", "%v", err)
		return
	}
	if _, err := backstage.New(backstage.Config{Plugin: "roadbed", Discovery: discovery, Algorithms: c.Algorithms}); err != nil {
		e.fail("backstage", "correct ROADBED_TOKEN_ALGORITHMS", "%v", err)
	}
	if err := backstage.UserKeys(ctx, discovery); err != nil {
		e.fail("backstage users", "start Backstage, or correct ROADBED_BACKSTAGE_URL", "people's tokens cannot be verified: %v", oneLineOf(err))
	} else {
		e.ok("backstage users", "the keys of people's tokens can be read")
	}
	if c.SigningKey == "" {
		e.warn("signing key", "openssl ecparam -genkey -name prime256v1 -noout -out roadbed.pem\nROADBED_SIGNING_KEY_FILE=roadbed.pem",
			"there is none: nobody can approve anything, nor be told in Backstage")
		return
	}
	e.private("signing key mode", c.SigningKey)
	e.age("signing key age", "rotate it as docs/securing.md says", c.SigningKey)
	for _, file := range c.Published {
		if _, err := backstage.LoadPublicKey(file); err != nil {
			e.fail("published key", "correct ROADBED_PUBLISHED_KEY_FILES", "%s: %v", file, oneLineOf(err))
		} else {
			e.ok("published key", "%s", file)
		}
	}
	key, err := backstage.LoadKey(c.SigningKey)
	if err != nil {
		e.fail("signing key", "openssl ecparam -genkey -name prime256v1 -noout -out "+c.SigningKey, "%v", oneLineOf(err))
		return
	}
	c.examineCalls(ctx, e, discovery, key)
}

// examineCalls looks whether Backstage takes our own token. Whatever it answers
// but 401 it has found our key set, by its discovery.
func (c sidecarConfig) examineCalls(ctx context.Context, e *examination, discovery *backstage.Discovery, key *ecdsa.PrivateKey) {
	signer, err := backstage.NewSigner("roadbed", key)
	if err != nil {
		e.fail("signing key", "make an ES256 key: openssl ecparam -genkey -name prime256v1 -noout", "%v", oneLineOf(err))
		return
	}
	status, err := backstage.Accepts(ctx, discovery, signer, "catalog", "/entities/by-query?limit=1")
	switch {
	case err != nil:
		e.fail("backstage catalog", "start Backstage, or correct ROADBED_BACKSTAGE_URL", "cannot be reached: %v", oneLineOf(err))
		return
	case status == http.StatusUnauthorized:
		e.fail("backstage catalog", fmt.Sprintf("start roadbed serve, and in app-config.yaml:\ndiscovery:\n  endpoints:\n    - target: %s\n      plugins: [roadbed]", strings.TrimRight(c.BaseURL, "/")),
			"Backstage does not take Roadbed's token: it does not find the key set of the plugin roadbed")
		return
	case status == http.StatusForbidden:
		e.fail("backstage catalog", "let the service plugin:roadbed read catalog.entity.read in the permission policy", "Roadbed's token is taken, but it may not read the catalog")
		return
	case status != http.StatusOK:
		e.fail("backstage catalog", "look at Backstage's log", "it answered %d", status)
		return
	}
	e.ok("backstage catalog", "takes Roadbed's token, and may be read")
	if c.Permissions {
		e.examinePermissions(ctx, discovery, signer)
	}
	status, err = backstage.Accepts(ctx, discovery, signer, "notifications", "/notifications?limit=1")
	switch {
	case err != nil:
		e.warn("backstage notifications", "look at Backstage's log", "cannot be reached: %v", oneLineOf(err))
	case status == http.StatusNotFound:
		e.warn("backstage notifications", "in packages/backend/src/index.ts:\nbackend.add(import('@backstage/plugin-notifications-backend'));", "the plugin is not installed: nobody is told in Backstage")
	case status == http.StatusUnauthorized:
		e.fail("backstage notifications", "let its discovery find the plugin roadbed as the catalog's does", "they do not take Roadbed's token")
	default:
		e.ok("backstage notifications", "installed")
	}
}

// examinePermissions looks whether the portal's policy can be asked.
func (e *examination) examinePermissions(ctx context.Context, discovery *backstage.Discovery, signer *backstage.Signer) {
	const install = "in packages/backend/src/index.ts:\nbackend.add(import('@backstage/plugin-permission-backend'));\nand a policy module beside it; in app-config.yaml:\npermission:\n  enabled: true"
	status, err := backstage.Accepts(ctx, discovery, signer, "permission", "/health")
	switch {
	case err != nil:
		e.fail("backstage permissions", "start Backstage, or correct ROADBED_BACKSTAGE_URL", "cannot be reached, and who it cannot be asked about is answered 503: %v", oneLineOf(err))
	case status == http.StatusNotFound:
		e.fail("backstage permissions", install, "the permission plugin is not installed, so nobody can ask for anything")
	case status == http.StatusUnauthorized:
		e.fail("backstage permissions", "let its discovery find the plugin roadbed as the catalog's does", "it does not take Roadbed's token")
	case status != http.StatusOK:
		e.fail("backstage permissions", "look at Backstage's log", "it answered %d", status)
	default:
		e.ok("backstage permissions", "the portal's policy can be asked")
	}
}

// examineOwnDoor looks whether the API answers where others are told that it is.
func (c sidecarConfig) examineOwnDoor(ctx context.Context, e *examination) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	root, _ := strings.CutSuffix(strings.TrimRight(c.BaseURL, "/"), "/api/roadbed")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/.backstage/health/v1/readiness", nil)
	if err != nil {
		e.fail("own address", "correct ROADBED_BASE_URL", "%v", oneLineOf(err))
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		e.warn("own address", "start roadbed serve, or correct ROADBED_BASE_URL", "nobody answers at %s: %v", c.BaseURL, oneLineOf(err))
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10)) // what is missing is not said
	if response.StatusCode != http.StatusOK {
		e.warn("own address", "its log says what it waits for", "it answers %d: %s", response.StatusCode, strings.TrimSpace(string(body)))
		return
	}
	e.ok("own address", "roadbed serve is ready at %s", c.BaseURL)
	if at, err := http.ParseTime(response.Header.Get("Date")); err == nil && time.Since(at).Abs() >= 2*time.Second { // it has whole seconds
		e.clock("own clock", time.Since(at))
	}
}
