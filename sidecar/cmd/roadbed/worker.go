package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/activity"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
	"roadbed.dev/roadbed/sidecar/internal/worker"
)

// workerConfig is what a worker is told.
type workerConfig struct {
	Pool      string        `help:"The pool whose jobs it does." required:"" env:"ROADBED_POOL"`
	Name      string        `help:"Its name: unique in the pool and the same after a restart; the machine's name by default." env:"ROADBED_WORKER_NAME"`
	Dir       string        `help:"Its own folder, kept over restarts." required:"" type:"path" env:"ROADBED_WORKER_DIR"`
	Slots     int           `help:"Runs at a time." default:"2" env:"ROADBED_WORKER_SLOTS"`
	Sidecar   string        `help:"Base of the sidecar's API." required:"" placeholder:"URL" env:"ROADBED_BASE_URL"`
	CAFile    string        `name:"ca-file" help:"PEM file of authorities to trust for the sidecar's certificate, beside the system's." type:"existingfile" env:"ROADBED_CA_FILE"`
	TokenFile string        `help:"File with the pool's token." required:"" type:"existingfile" env:"ROADBED_POOL_TOKEN_FILE"`
	NATS      string        `name:"nats" help:"NATS URL." required:"" env:"ROADBED_NATS_URL"`
	NATSKey   string        `name:"nats-key" help:"File with the seed of its NATS user; see roadbed keys nats." type:"existingfile" env:"ROADBED_NATS_KEY_FILE"`
	NATSCA    string        `name:"nats-ca-file" help:"PEM file of the authorities that sign the NATS server's certificate; the system's by default." type:"existingfile" env:"ROADBED_NATS_CA_FILE"`
	KeysDir   string        `help:"Folder with <pool>.key and sidecar.pub." required:"" type:"existingdir" env:"ROADBED_KEYS_DIR"`
	Terraform string        `help:"The terraform or tofu to run; by default the one on PATH, else one that is downloaded." env:"ROADBED_TERRAFORM"`
	CLIConfig string        `help:"Terraform's CLI configuration, which names the provider mirror." env:"TF_CLI_CONFIG_FILE"`
	Pass      []string      `help:"Environment variables that providers may see." placeholder:"NAME" default:"ROADBED_POSTGRES_DSN" env:"ROADBED_PROVIDER_VARIABLES"`
	Providers string        `help:"Dependency lock file of the providers that modules may use, by version and hash; without it any that can be installed." type:"existingfile" env:"ROADBED_PROVIDERS_FILE"`
	Memory    uint64        `name:"terraform-memory" help:"MiB of data that Terraform, and each provider, may have." default:"4096" env:"ROADBED_TERRAFORM_MEMORY"`
	Drain     time.Duration `help:"How long a stopping worker waits for what it applies; supervisors finish the rest." default:"20s" env:"ROADBED_WORKER_DRAIN"`

	variables map[string]string // what Pass names; dev fills it in itself
}

type workerCommand struct {
	workerConfig
}

// Run does jobs until it is told to stop.
func (c *workerCommand) Run(ctx context.Context, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	c.passVariables()
	// dev does not: it shares its process with what must not be held so.
	if err := terraform.Confine(c.Memory << 20); err != nil {
		return err
	}
	return runWorker(ctx, c.workerConfig, log)
}

// check holds each setting to what makes sense.
func (c workerConfig) check() error {
	switch {
	case c.Slots < 1:
		return fmt.Errorf("--slots is %d; a worker that does anything needs at least one", c.Slots)
	case c.Drain < 0:
		return fmt.Errorf("--drain is %s; it must be 0, for leaving what applies to its supervisors at once, or more", c.Drain)
	case c.Memory < leastMemory:
		return fmt.Errorf("--terraform-memory is %d MiB; Terraform and its providers need at least %d", c.Memory, leastMemory)
	}
	return nil
}

// leastMemory is what Terraform starts with, in MiB.
const leastMemory = 256

// passVariables takes what providers may see from the environment.
func (c *workerConfig) passVariables() {
	c.variables = map[string]string{}
	for _, name := range c.Pass {
		if value, ok := os.LookupEnv(name); ok {
			c.variables[name] = value
		}
	}
}

// name is the worker's own, the machine's unless it was given one.
func (c workerConfig) name() (string, error) {
	if c.Name != "" {
		return c.Name, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find this machine's name: %w (give one with --name)", err)
	}
	return subjectToken(host), nil
}

func runWorker(ctx context.Context, c workerConfig, log *slog.Logger) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	ring, err := keys.Load(c.KeysDir, c.Pool)
	if err != nil {
		return err
	}
	token, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fmt.Errorf("read pool token: %w", err)
	}
	var providers terraform.Providers
	if c.Providers != "" {
		if providers, err = terraform.ReadProviders(c.Providers); err != nil {
			return err
		}
	}
	binary, err := terraform.Find(ctx, terraform.Search{Path: c.Terraform, CacheDir: filepath.Join(c.Dir, "terraform")})
	if err != nil {
		return err
	}
	connection := worker.Connection{URL: c.Sidecar, Token: strings.TrimSpace(string(token)), Worker: name, CAFile: c.CAFile}
	controller, err := connect(connection)
	if err != nil {
		return err
	}
	q, err := queue.Connect(ctx, queue.Config{
		URL: c.NATS, Name: "roadbed-worker-" + name, KeyFile: c.NATSKey, CAFile: c.NATSCA, Inbox: queue.WorkerInbox(c.Pool, name), Log: log,
	})
	if err != nil {
		return err
	}
	defer q.Close()
	pool, err := q.Pool(c.Pool, name)
	if err != nil {
		return err
	}
	log = log.With("worker", name, "pool", c.Pool)
	log.Info("worker starts", "terraform", binary.Path, "version", binary.Version, "slots", c.Slots)
	w := &worker.Worker{
		Config: worker.Config{
			Name: name, Root: c.Dir, Slots: c.Slots, Connection: connection, Drain: c.Drain,
			Terraform: terraform.Settings{Binary: binary, CLIConfig: c.CLIConfig, Providers: providers, Variables: c.variables},
		},
		Control: seams.control(controller), Jobs: seams.jobs(jobs{pool}), Reports: seams.reports(pool), Log: log,
		Open: ring.Open, Unpack: offering.Unpack, Digest: offering.BundleDigest, Measure: activity.Measure,
	}
	return w.Run(ctx)
}

// jobs gives the queue's deliveries the worker's type.
type jobs struct{ pool *queue.Pool }

// Next is queue.Pool's Next.
func (j jobs) Next(ctx context.Context) (worker.Delivery, error) {
	delivery, err := j.pool.Next(ctx)
	return worker.Delivery(delivery), err
}

// connect makes the client of a worker or of its supervisor.
func connect(to worker.Connection) (*client.Worker, error) {
	return client.NewWorker(to.URL, to.Token, to.Worker, client.Trust(to.CAFile))
}

// subjectToken makes a name fit for a NATS subject.
func subjectToken(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
}

type superviseCommand struct {
	Dir string `arg:"" help:"The run's folder." type:"existingdir"`
}

// Run owns the run's Terraform until it has ended and its state is kept.
func (c *superviseCommand) Run(ctx context.Context, log *slog.Logger) error {
	return worker.Supervise(ctx, worker.Supervision{
		Dir: c.Dir, Log: log,
		Connect: func(to worker.Connection) (worker.Lifeline, error) {
			client, err := connect(to)
			if err != nil {
				return nil, err
			}
			return seams.lifeline(client), nil
		},
	})
}

type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Make the key pairs that are missing; existing ones are kept."`
	Rotate keysRotateCommand `cmd:"" help:"Give the sidecar or a pool a new key; older ones still open."`
	Rewrap keysRewrapCommand `cmd:"" help:"Seal everything that is kept for the newest keys."`
	Retire keysRetireCommand `cmd:"" help:"Drop older keys, after a rewrap."`
	NATS   keysNATSCommand   `cmd:"" name:"nats" help:"Make NATS users, each with the subjects that it needs."`
}

type keysCreateCommand struct {
	Dir  string   `help:"Folder of the keys." required:"" type:"path"`
	Pool []string `help:"A pool to make keys for; repeat it for each." default:"local"`
}

// Run makes missing keys. Copy only what each side needs: the sidecar its .key
// and every .pub, a pool's workers their .key and sidecar.pub.
func (c *keysCreateCommand) Run() error { return keys.Create(c.Dir, c.Pool...) }
