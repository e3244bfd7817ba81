package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
	"roadbed.dev/roadbed/sidecar/internal/worker"
)

type doctorWorkerCommand struct {
	workerConfig
	JSON bool `name:"json" help:"Print JSON."`
}

// Run looks at everything and changes nothing but a file that it makes in the
// worker's folder and removes. It fails when anything must be mended.
func (c *doctorWorkerCommand) Run(ctx context.Context, out io.Writer) error {
	c.passVariables()
	return c.examine(ctx).report(out, c.JSON)
}

func (c workerConfig) examine(ctx context.Context) (e examination) {
	c.examineTerraform(ctx, &e)
	c.examineFolder(&e)
	e.private("key mode", filepath.Join(c.KeysDir, c.Pool+".key"))
	if ring, err := keys.Load(c.KeysDir, c.Pool); err != nil {
		e.fail("keys", "copy "+c.Pool+".key and sidecar.pub from where roadbed keys create made them to "+c.KeysDir, "%v", oneLineOf(err))
	} else if _, err := ring.Recipients(c.Pool); err != nil {
		e.fail("keys", "copy sidecar.pub and "+c.Pool+".pub to "+c.KeysDir, "%v", oneLineOf(err))
	} else {
		e.ok("keys", "those of the pool and of the sidecar")
	}
	c.examineSidecar(ctx, &e)
	c.examineJobs(ctx, &e)
	c.examineCredentials(ctx, &e)
	return e
}

// examineJobs looks at NATS as the worker would, under its name.
func (c workerConfig) examineJobs(ctx context.Context, e *examination) {
	name, err := c.name()
	if err != nil {
		e.fail("nats", "give the worker a name: ROADBED_WORKER_NAME", "%v", oneLineOf(err))
		return
	}
	stands, err := queue.ExaminePool(ctx, queue.Config{
		URL: c.NATS, KeyFile: c.NATSKey, CAFile: c.NATSCA, Inbox: queue.WorkerInbox(c.Pool, name),
	}, c.Pool)
	e.examineNATS(stands, err, false)
}

// mirrorPath is a folder of providers in Terraform's CLI configuration.
var mirrorPath = regexp.MustCompile(`filesystem_mirror\s*\{[^}]*path\s*=\s*"([^"]+)"`)

func (c workerConfig) examineTerraform(ctx context.Context, e *examination) {
	binary, err := terraform.Find(ctx, terraform.Search{Path: c.Terraform})
	switch {
	case err != nil && c.Terraform == "":
		e.warn("terraform", "put terraform or tofu on PATH, or set ROADBED_TERRAFORM", "there is none; the worker downloads %s when it starts", terraform.DefaultVersion)
	case err != nil:
		e.fail("terraform", "set ROADBED_TERRAFORM to the path of terraform or tofu", "%v", oneLineOf(err))
	default:
		e.ok("terraform", "%s at %s", binary.Version, binary.Path)
	}
	if _, err := terraform.ReadProviders(c.Providers); c.Providers == "" {
		e.warn("providers", "roadbed providers lock /etc/roadbed/providers.hcl && ROADBED_PROVIDERS_FILE=/etc/roadbed/providers.hcl", "there is no list: modules may run any that can be installed")
	} else if err != nil {
		e.fail("providers", "roadbed providers lock "+c.Providers, "%v", oneLineOf(err))
	} else {
		e.ok("providers", "%s", c.Providers)
	}
	if c.CLIConfig == "" {
		e.warn("provider mirror", "TF_CLI_CONFIG_FILE=<file with provider_installation { filesystem_mirror { path = \"...\" } }>", "there is none: providers come from the internet, at each first use")
		return
	}
	text, err := os.ReadFile(c.CLIConfig)
	if err != nil {
		e.fail("provider mirror", "correct TF_CLI_CONFIG_FILE", "%v", oneLineOf(err))
		return
	}
	for _, found := range mirrorPath.FindAllStringSubmatch(string(text), -1) {
		if entries, err := os.ReadDir(found[1]); err != nil || len(entries) == 0 {
			e.fail("provider mirror", "deploy/providers/build "+found[1], "%s, which %s names, holds no providers", found[1], c.CLIConfig)
			return
		}
	}
	e.ok("provider mirror", "%s", c.CLIConfig)
}

func (c workerConfig) examineFolder(e *examination) {
	wayOut := "mkdir -p " + c.Dir + " && chown <the worker's user> " + c.Dir
	if _, err := os.Stat(c.Dir); os.IsNotExist(err) {
		parent, err := os.Stat(filepath.Dir(c.Dir))
		if err != nil || !parent.IsDir() {
			e.fail("folder", wayOut, "neither %s nor the folder that it is to be in is there", c.Dir)
			return
		}
		e.ok("folder", "%s is made when the worker starts", c.Dir)
		return
	}
	probe, err := os.CreateTemp(c.Dir, ".doctor-*")
	if err != nil {
		e.fail("folder", wayOut, "nothing can be written to %s: %v", c.Dir, oneLineOf(err))
		return
	}
	_ = probe.Close() // it is empty
	_ = os.Remove(probe.Name())
	e.ok("folder", "%s can be written to", c.Dir)
}

// examineSidecar asks for a run that there is not: to be told so, the token must
// be right.
func (c workerConfig) examineSidecar(ctx context.Context, e *examination) {
	e.private("token mode", c.TokenFile)
	token, err := os.ReadFile(c.TokenFile)
	if err != nil {
		e.fail("sidecar", "copy the pool's token to "+c.TokenFile, "%v", oneLineOf(err))
		return
	}
	controller, err := connect(worker.Connection{URL: c.Sidecar, Token: strings.TrimSpace(string(token)), Worker: "doctor", CAFile: c.CAFile})
	if err != nil {
		e.fail("sidecar", "correct ROADBED_BASE_URL", "%v", oneLineOf(err))
		return
	}
	_, err = controller.View(ctx, uuid.Must(uuid.NewV7()))
	switch provision.KindOf(err) {
	case provision.NotFound:
		e.ok("sidecar", "answers at %s, and takes the token of the pool", c.Sidecar)
	case provision.Unavailable:
		e.fail("sidecar", "start roadbed serve, or correct ROADBED_BASE_URL", "cannot be reached at %s: %v", c.Sidecar, oneLineOf(err))
	default:
		e.fail("sidecar", "give roadbed serve the same file: ROADBED_POOL_TOKEN_FILES="+c.Pool+"="+c.TokenFile, "does not take the token of pool %s: %v", c.Pool, oneLineOf(err))
	}
}

// databaseVariable names the server that local databases are made on.
const databaseVariable = "ROADBED_POSTGRES_DSN"

// examineCredentials looks at what providers are given.
func (c workerConfig) examineCredentials(ctx context.Context, e *examination) {
	for _, name := range c.Pass {
		if c.variables[name] == "" {
			e.warn("variable "+name, name+"=<value>, or leave it out of ROADBED_PROVIDER_VARIABLES", "it is not set: providers that need it fail")
			continue
		}
		if name != databaseVariable {
			e.ok("variable "+name, "set")
		}
	}
	dsn := c.variables[databaseVariable]
	if dsn == "" {
		return
	}
	s, err := postgres.Examine(ctx, dsn)
	switch {
	case err != nil:
		e.fail("databases to make", "correct "+databaseVariable, "their server cannot be reached: %v", oneLineOf(err))
	case !s.MakesDatabases || !s.MakesRoles:
		e.fail("databases to make", "ALTER ROLE "+s.User+" CREATEDB CREATEROLE;", "%s may not make databases and roles", s.User)
	default:
		e.ok("databases to make", "%s may make them on PostgreSQL %s", s.User, s.Version)
	}
}
