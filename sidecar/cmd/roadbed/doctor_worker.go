package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/client"
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
	if err := c.check(); err != nil {
		e.fail("settings", "correct the flag that it names", "%v", err)
	} else {
		e.ok("settings", "make sense")
	}
	c.examineTerraform(ctx, &e)
	c.examineFolder(&e)
	c.examineMemory(&e)
	if c.NATSKey != "" {
		e.private("nats key mode", c.NATSKey)
	}
	e.age("key age", "roadbed keys rotate --holder "+c.Pool+", where the keys were made", filepath.Join(c.KeysDir, c.Pool+".key"))
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
		URL: c.NATS, KeyFile: c.NATSKey, CAFile: c.NATSCA,
	}, c.Pool, name)
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
	case binary.Check() != nil:
		e.fail("terraform", "put a newer terraform or tofu on PATH, or set ROADBED_TERRAFORM to its path", "%v", oneLineOf(binary.Check()))
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

// What a worker's disk should have free: each run holds a plan and a state, and
// providers that are downloaded take the most.
const littleRoom, noRoom = 2 << 30, 256 << 20

// examineRoom looks at the bytes that are free where the worker's folder is, or
// is to be.
func (e *examination) examineRoom(dir string, free uint64, err error) {
	const wayOut = "give it more room; finished runs are removed by themselves"
	switch {
	case err != nil:
		e.warn("disk", "look at the disk of "+dir, "what is free cannot be told: %v", oneLineOf(err))
	case free < noRoom:
		e.fail("disk", wayOut, "%d MiB are free at %s: a state that cannot be written is lost", free>>20, dir)
	case free < littleRoom:
		e.warn("disk", wayOut, "%d MiB are free at %s", free>>20, dir)
	default:
		e.ok("disk", "%.0f GiB are free at %s", float64(free)/(1<<30), dir)
	}
}

// examineMemory looks whether this machine has what Terraform may take in every slot.
func (c workerConfig) examineMemory(e *examination) {
	all, err := memoryBytes()
	if err != nil {
		return // a system that does not tell it, or not so
	}
	if most := c.Memory << 20; most > all {
		e.warn("memory", fmt.Sprintf("ROADBED_TERRAFORM_MEMORY=%d", all>>21), "Terraform may take %d MiB, and there are %d: the system may kill it during an apply", c.Memory, all>>20)
		return
	}
	e.ok("memory", "%d MiB, of which Terraform and each provider may take %d", all>>20, c.Memory)
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
		free, err := freeBytes(filepath.Dir(c.Dir))
		e.examineRoom(filepath.Dir(c.Dir), free, err)
		return
	}
	e.writable("folder", c.Dir, "ROADBED_WORKER_DIR")
	free, err := freeBytes(c.Dir)
	e.examineRoom(c.Dir, free, err)
}

// examineSidecar asks for a run that there is not: to be told so, the token must
// be right.
func (c workerConfig) examineSidecar(ctx context.Context, e *examination) {
	e.private("token mode", c.TokenFile)
	c.examineClock(ctx, e)
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

// examineClock compares this machine's clock with the sidecar's, by the time of
// its answer, which has whole seconds.
func (c workerConfig) examineClock(ctx context.Context, e *examination) {
	at, err := client.ServerTime(ctx, c.Sidecar, client.Trust(c.CAFile))
	if err != nil {
		return // who cannot be reached is told of anyway
	}
	if skew := time.Since(at); skew.Abs() >= 2*time.Second {
		e.clock("sidecar clock", skew)
		return
	}
	e.ok("sidecar clock", "agrees with this machine's within 2s")
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
