package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// sidecarConfig is what the sidecar is told. `serve` reads all of it from flags
// and environment; `dev` fills it in.
type sidecarConfig struct {
	ownedFiles
	PolicyFrom   policySource      `embed:"" prefix:"policy-"`
	Listen       string            `help:"Address to serve the API on." default:":7099" env:"ROADBED_LISTEN"`
	Metrics      string            `help:"Address to serve metrics on, without authentication; empty for none." default:"127.0.0.1:9099" env:"ROADBED_METRICS_LISTEN"`
	BaseURL      string            `help:"Where Backstage and workers reach the API." default:"http://localhost:7099/api/roadbed" env:"ROADBED_BASE_URL"`
	Portal       string            `help:"Where people reach Backstage; links lead there." placeholder:"URL" env:"ROADBED_PORTAL_URL"`
	Backstage    string            `help:"Where the sidecar reaches Backstage." placeholder:"URL" required:"" env:"ROADBED_BACKSTAGE_URL"`
	Endpoints    map[string]string `help:"Backstage plugins that are elsewhere, as plugin=base URL; later ones win." placeholder:"PLUGIN=URL" env:"ROADBED_BACKSTAGE_ENDPOINTS"`
	Algorithms   []string          `help:"Token signatures that are accepted." default:"ES256" env:"ROADBED_TOKEN_ALGORITHMS"`
	SigningKey   string            `help:"PEM file of the key that Roadbed signs its own plugin tokens with; without it nobody can approve anything." type:"existingfile" env:"ROADBED_SIGNING_KEY_FILE"`
	Pipelines    string            `help:"File that says whose CI pipelines may ask for ephemeral environments, by OpenID Connect; without it none may." type:"existingfile" env:"ROADBED_PIPELINES_FILE"`
	Published    []string          `name:"also-published" help:"PEM files of keys that are in the key set too: the next one before it signs, the last one until its tokens have ended." type:"existingfile" env:"ROADBED_PUBLISHED_KEY_FILES"`
	Database     string            `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	State        string            `help:"Where the bytes of Terraform states are kept, sealed: s3://bucket/prefix; by default the database." placeholder:"URL" env:"ROADBED_STATE"`
	NATS         string            `name:"nats" help:"NATS URL." required:"" env:"ROADBED_NATS_URL"`
	NATSKey      string            `name:"nats-key" help:"File with the seed of the sidecar's NATS user; see roadbed keys nats." type:"existingfile" env:"ROADBED_NATS_KEY_FILE"`
	NATSCA       string            `name:"nats-ca-file" help:"PEM file of the authorities that sign the NATS server's certificate; the system's by default." type:"existingfile" env:"ROADBED_NATS_CA_FILE"`
	NATSReplicas int               `name:"nats-replicas" help:"Servers of a NATS cluster that keep each stream: 1, 3 or 5." default:"1" env:"ROADBED_NATS_REPLICAS"`
	KeysDir      string            `help:"Folder with sidecar.key and <pool>.pub; see roadbed keys." required:"" type:"existingdir" env:"ROADBED_KEYS_DIR"`
	PoolTokens   map[string]string `help:"Each pool's token file, as pool=file." required:"" placeholder:"POOL=FILE" env:"ROADBED_POOL_TOKEN_FILES"`
	Slots        int               `help:"Runs in flight at once in each pool that data/queue.yaml of the policies does not name." default:"4" env:"ROADBED_POOL_SLOTS"`
	Lease        time.Duration     `help:"How long a worker's claim lasts without renewal; workers renew three times as often." default:"30s" env:"ROADBED_LEASE"`
	QueueTimeout time.Duration     `help:"How long a request may wait for a worker before it fails." default:"24h" env:"ROADBED_QUEUE_TIMEOUT"`

	ApprovalTimeout time.Duration `help:"How long a request may wait for approval before it is denied." default:"72h" env:"ROADBED_APPROVAL_TIMEOUT"`

	Notifications string        `help:"File that says whom to tell of what, in Slack, by mail, by webhook or in Backstage; without it approvers and requesters are told in Backstage." type:"existingfile" env:"ROADBED_NOTIFICATIONS_FILE"`
	DriftEvery    time.Duration `help:"How often each instance is checked for drift; 0 checks only what someone asks for." default:"24h" env:"ROADBED_DRIFT_EVERY"`

	Publish string `help:"What becomes of a later version of an offering in the folder: auto publishes it at once, manual makes it a draft until somebody publishes it." enum:"auto,manual" default:"auto" env:"ROADBED_PUBLISH"`

	DecisionLog string `help:"File, or URL of a service, that each stored verdict is written to in the shape of OPA's decision logs." placeholder:"FILE|URL" env:"ROADBED_DECISION_LOG"`

	CallerReads    int `help:"Reads a second of one person or plugin." default:"50" env:"ROADBED_CALLER_READS"`
	CallerTries    int `help:"Prices and verdicts a second for the forms of one person." default:"20" env:"ROADBED_CALLER_TRIES"`
	CallerAsks     int `help:"Asks, cancels and approvals a second of one person or plugin." default:"20" env:"ROADBED_CALLER_ASKS"`
	CallerAtOnce   int `help:"Requests of one person or plugin that are answered at once." default:"32" env:"ROADBED_CALLER_AT_ONCE"`
	PoolCalls      int `help:"Calls a second of all workers of one pool." default:"500" env:"ROADBED_POOL_CALLS"`
	RequestsAtOnce int `help:"Requests of everybody that are answered at once, and as many of workers; more are answered 503." default:"256" env:"ROADBED_REQUESTS_AT_ONCE"`

	Feed feedConfig `embed:"" prefix:"feed-"`

	Permissions bool `help:"Ask the portal's permission policy as well, which may deny what the rules here allow; needs --signing-key." env:"ROADBED_PERMISSIONS"`

	auth func(*backstage.Authenticator) (httpapi.Authenticator, error) // dev only; nil takes Backstage's word alone

	directory provision.Directory // dev only; nil asks Backstage's catalog
}

// check holds the relations between settings.
func (c *sidecarConfig) check() error {
	switch {
	case c.Lease < 3*time.Second:
		return fmt.Errorf("--lease is %s; it must be 3s or more, for a renewal each third of it", c.Lease)
	case c.Slots < 1:
		return fmt.Errorf("--slots is %d; a pool needs at least one", c.Slots)
	case c.DriftEvery < 0 || c.DriftEvery > 0 && c.DriftEvery < time.Second:
		return fmt.Errorf("--drift-every is %s; it must be 0, for never, or at least a second", c.DriftEvery)
	case c.ApprovalTimeout < c.Lease:
		return fmt.Errorf("--approval-timeout is %s; it must exceed the lease, %s", c.ApprovalTimeout, c.Lease)
	case c.QueueTimeout < c.Lease:
		return fmt.Errorf("--queue-timeout is %s; it must exceed the lease, %s", c.QueueTimeout, c.Lease)
	}
	for flag, n := range map[string]int{
		"caller-reads": c.CallerReads, "caller-tries": c.CallerTries, "caller-asks": c.CallerAsks,
		"caller-at-once": c.CallerAtOnce, "pool-calls": c.PoolCalls, "requests-at-once": c.RequestsAtOnce,
	} {
		if n < 1 {
			return fmt.Errorf("--%s is %d; it must be at least 1, and a large number is as good as no limit", flag, n)
		}
	}
	if !slices.Contains([]int{0, 1, 3, 5}, c.NATSReplicas) {
		return fmt.Errorf("--nats-replicas is %d; it must be 1, 3 or 5, of which a majority must be up", c.NATSReplicas)
	}
	if c.Permissions && c.SigningKey == "" {
		return errors.New("--permissions needs --signing-key, to ask the portal's policy with")
	}
	return errors.Join(c.Feed.check(), c.PolicyFrom.check(c.Policies))
}

// limits are what the door asks callers to keep; dev's are the defaults.
func (c *sidecarConfig) limits() httpapi.Limits {
	return httpapi.Limits{
		Reads: c.CallerReads, Tries: c.CallerTries, Asks: c.CallerAsks, Workers: c.PoolCalls,
		PerCaller: c.CallerAtOnce, Active: c.RequestsAtOnce,
	}
}
