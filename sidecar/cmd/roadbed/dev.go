package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

// devPool is the one pool of a development environment, devWorker its worker.
const devPool, devWorker = "local", "dev"

type devCommand struct {
	ownedFiles
	Data   string        `help:"Folder for everything that is kept." default:".build/dev" type:"path" env:"ROADBED_DATA"`
	Mirror string        `help:"Terraform provider mirror, made by deploy/providers/build." default:".build/mirror" type:"path" env:"ROADBED_MIRROR"`
	Portal string        `help:"Backstage workspace to run as the portal, installed and built; none by default." type:"path"`
	Node   string        `help:"Node.js binary, 22 or newer, for the portal." default:"node"`
	Lease  time.Duration `help:"How long a worker's claim lasts without renewal." default:"15s"`
	Worker bool          `help:"Run the worker in this process." default:"true" negatable:""`
	Stop   bool          `help:"Stop the one that runs on this data, and wait for it."`
}

// Run starts everything in the foreground and stops it all at Ctrl-C; the data
// is kept.
func (c *devCommand) Run(ctx context.Context, log *slog.Logger, out io.Writer) error {
	if c.Stop {
		return c.stop(ctx, out)
	}
	if err := c.check(); err != nil {
		return err
	}
	site, err := devenv.OpenSite(c.Data)
	if err != nil {
		return err
	}
	unlock, err := site.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	d := &dev{command: c, site: site, out: out, began: time.Now()}
	return d.run(ctx)
}

// check finds what is missing before anything is started.
func (c *devCommand) check() error {
	if c.Worker {
		if _, err := os.Stat(filepath.Join(c.Mirror, "terraform.rc")); err != nil {
			return fmt.Errorf("there is no provider mirror in %s; make one with deploy/providers/build %s, or name yours with --mirror", c.Mirror, c.Mirror)
		}
	}
	if c.Portal != "" {
		if _, err := os.Stat(filepath.Join(c.Portal, "packages", "app", "dist", "index.html")); err != nil {
			return fmt.Errorf("the portal in %s is not built; `make up` builds and starts it", c.Portal)
		}
	}
	return nil
}

func (c *devCommand) stop(ctx context.Context, out io.Writer) error {
	site, err := devenv.ReadSite(c.Data)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "nothing runs on", c.Data)
		return nil
	}
	if err != nil {
		return err
	}
	pid, running := site.Running()
	if !running {
		fmt.Fprintln(out, "nothing runs on", c.Data)
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	for {
		if _, running := site.Running(); !running {
			fmt.Fprintln(out, "stopped; the data is kept in", c.Data)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// dev is one run of a development environment.
type dev struct {
	command *devCommand
	site    *devenv.Site
	out     io.Writer
	began   time.Time
	log     *slog.Logger

	control *devenv.Cluster // the sidecar's and the portal's databases
	target  *devenv.Cluster // the "cloud": where databases are made
}

// step prints one line of progress.
func (d *dev) step(format string, args ...any) {
	fmt.Fprintf(d.out, "%6.1f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d *dev) run(ctx context.Context) (err error) {
	logFile, err := os.OpenFile(d.site.Path("roadbed.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer logFile.Close()
	d.log = slog.New(slog.NewJSONHandler(logFile, nil))

	if err := d.startServers(ctx); err != nil {
		return err
	}
	defer d.control.Stop()
	defer d.target.Stop()
	worker, err := d.natsWorker()
	if err != nil {
		return err
	}
	ns, err := devenv.StartNATS(d.site.Path("nats"), d.site.NATSPort, d.site.NATSSidecar(), worker)
	if err != nil {
		return err
	}
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	d.step("NATS is up")

	config, err := d.sidecarConfig()
	if err != nil {
		return err
	}
	s, err := newSidecar(ctx, config, d.log)
	if err != nil {
		return err
	}
	defer s.close()

	// The worker and the portal stop first: what they have in hand needs the sidecar.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() { served <- s.run(serving) }()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case err := <-served:
			served <- err
			return errors.Join(errors.New("the sidecar stopped"), err)
		case <-ctx.Done():
			return nil
		}
	})
	if d.command.Worker {
		group.Go(func() error { return runWorker(ctx, d.workerConfig(worker), d.log) })
	}
	d.step("sidecar is up at %s", d.site.SidecarURL())
	if d.command.Portal == "" {
		d.hintCommands()
	} else {
		portalLog, err := os.OpenFile(d.site.Path("portal.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		defer portalLog.Close()
		config, err := d.portalConfig(portalLog)
		if err != nil {
			return err
		}
		d.step("starting the Backstage portal")
		group.Go(func() error { return devenv.RunPortal(ctx, config, d.hintPortal) })
	}
	err = group.Wait()
	d.step("stopping; the data is kept in %s", d.site.Dir)
	stopServing()
	err = errors.Join(err, <-served)
	if err != nil {
		return fmt.Errorf("%w (logs: %s, %s)", err, d.site.Path("roadbed.log"), d.site.Path("portal.log"))
	}
	return nil
}

// startServers starts both clusters and makes what they must hold.
func (d *dev) startServers(ctx context.Context) (err error) {
	if d.control, err = devenv.StartCluster(ctx, devenv.ClusterConfig{Dir: d.site.Path("postgres"), Port: d.site.PostgresPort, Log: d.log}); err != nil {
		return err
	}
	if d.target, err = devenv.StartCluster(ctx, devenv.ClusterConfig{Dir: d.site.Path("databases"), Port: d.site.DatabasesPort, Log: d.log}); err != nil {
		d.control.Stop()
		return err
	}
	for _, database := range []string{"roadbed", "backstage"} {
		if err := ensureDatabase(ctx, d.control, database); err != nil {
			return err
		}
	}
	// A monitoring role may read what it can connect to: nobody's database but its own.
	if err := execute(ctx, d.target.DSN("postgres"), "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC"); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, d.control.DSN("roadbed")); err != nil {
		return err
	}
	d.step("PostgreSQL is up: one server for Roadbed, one where databases are made")
	return nil
}

func ensureDatabase(ctx context.Context, cluster *devenv.Cluster, name string) error {
	err := execute(ctx, cluster.DSN("postgres"), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	if err != nil && !strings.Contains(err.Error(), "42P04") { // duplicate_database
		return err
	}
	return nil
}

func execute(ctx context.Context, dsn, statement string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("run %q: %w", statement, err)
	}
	return nil
}

func (d *dev) sidecarConfig() (sidecarConfig, error) {
	keysDir := d.site.Path("keys")
	if err := keys.Create(keysDir, devPool); err != nil {
		return sidecarConfig{}, err
	}
	if err := os.WriteFile(d.tokenFile(), []byte(d.site.PoolToken+"\n"), 0o600); err != nil {
		return sidecarConfig{}, fmt.Errorf("write pool token: %w", err)
	}
	identity, err := devIdentity(d.site)
	if err != nil {
		return sidecarConfig{}, err
	}
	signingKey, err := devSigningKey(d.site)
	if err != nil {
		return sidecarConfig{}, err
	}
	var directory provision.Directory // the portal's catalog, when there is one
	if d.command.Portal == "" {
		directory = devDirectory{}
	}
	owned, err := d.owned()
	if err != nil {
		return sidecarConfig{}, err
	}
	return sidecarConfig{
		ownedFiles: owned,
		Listen:     "127.0.0.1:" + strconv.Itoa(d.site.SidecarPort), BaseURL: d.site.SidecarURL(), Portal: d.site.PortalURL(),
		Backstage: "http://127.0.0.1:" + strconv.Itoa(d.site.PortalPort), Algorithms: []string{"ES256"},
		Database: d.control.DSN("roadbed"), NATS: d.site.NATSURL(), KeysDir: keysDir,
		PoolTokens: map[string]string{devPool: d.tokenFile()},
		Slots:      4, Lease: d.command.Lease, QueueTimeout: time.Hour, DriftEvery: 24 * time.Hour,
		ApprovalTimeout: 72 * time.Hour, SigningKey: signingKey, directory: directory,
		auth: func(next *backstage.Authenticator) (httpapi.Authenticator, error) {
			return backstage.NewDevIdentity(identity, next)
		},
	}, nil
}

// owned gives the environments this site's folder for pages, unless the person
// brought environments of their own.
func (d *dev) owned() (ownedFiles, error) {
	owned := d.command.ownedFiles
	if owned.Environments != "" {
		return owned, nil
	}
	dir := d.site.Path("environments")
	owned.Environments = dir
	return owned, writeDevEnvironments(dir, d.site.Path("sites"), d.site.Path("snapshots"))
}

func (d *dev) tokenFile() string { return d.site.Path("keys", devPool+".token") }

// natsWorker is the user of NATS that the worker is, with a worker's permissions.
func (d *dev) natsWorker() (devenv.NATSUser, error) {
	may, err := queue.WorkerPermissions(devPool, devWorker)
	return devenv.NATSUser{Name: devWorker, Password: d.site.NATSWorker, Publish: may.Publish, Subscribe: may.Subscribe}, err
}

func (d *dev) workerConfig(user devenv.NATSUser) workerConfig {
	return workerConfig{
		Pool: devPool, Name: devWorker, Dir: d.site.Path("worker"), Slots: 2, Sidecar: d.site.SidecarURL(),
		TokenFile: d.tokenFile(), NATS: devenv.NATSURL(d.site.NATSPort, user), KeysDir: d.site.Path("keys"),
		Terraform: os.Getenv("ROADBED_TERRAFORM"), CLIConfig: filepath.Join(d.command.Mirror, "terraform.rc"),
		variables: map[string]string{"ROADBED_POSTGRES_DSN": d.target.DSN("postgres")},
	}
}

func (d *dev) portalConfig(log io.Writer) (devenv.PortalConfig, error) {
	dsn, err := url.Parse(d.control.DSN("backstage"))
	if err != nil {
		return devenv.PortalConfig{}, fmt.Errorf("read the portal's database address: %w", err)
	}
	port, err := strconv.Atoi(dsn.Port())
	if err != nil {
		return devenv.PortalConfig{}, fmt.Errorf("read the portal's database port: %w", err)
	}
	password, _ := dsn.User.Password()
	offerings := cmp.Or(d.command.Offerings, filepath.Join(d.command.Portal, "..", "..", "backstage-templates"))
	catalog, err := filepath.Abs(filepath.Join(offerings, "catalog.yaml"))
	if err != nil {
		return devenv.PortalConfig{}, fmt.Errorf("find templates: %w", err)
	}
	node, err := exec.LookPath(d.command.Node)
	if err == nil {
		node, err = filepath.Abs(node) // the portal starts in a folder of its own
	}
	if err != nil {
		return devenv.PortalConfig{}, fmt.Errorf("find Node.js: %w; name a binary of version 22 or newer with --node", err)
	}
	return devenv.PortalConfig{
		Dir: d.command.Portal, Node: node, URL: d.site.PortalURL(), Port: d.site.PortalPort,
		Sidecar: d.site.SidecarURL(), Catalog: catalog, Log: log,
		Postgres: devenv.PostgresAddress{Host: dsn.Hostname(), Port: port, User: dsn.User.Username(), Password: password},
	}, nil
}

func (d *dev) hintPortal() {
	d.step("the portal is up")
	fmt.Fprintf(d.out, `
  Open  %s
  Sign in as Ann (payments), Ben (search) or Pat (platform team), choose
  "PostgreSQL database", and watch it being made.

  In a terminal: export ROADBED_DATA=%s
  then ask by "roadbed instance list --as ann" and the like; "roadbed --help" has them all.

  Logs  %s
  Stop  Ctrl-C; the data is kept. "make reset" deletes it.

`, d.site.PortalURL(), d.site.Dir, d.site.Dir)
}

func (d *dev) hintCommands() {
	fmt.Fprintf(d.out, `
  Ask   export ROADBED_DATA=%s
        roadbed request create postgres-database --as ann -p database_name=orders \
          -p environment=dev -p team_owner=payments -p cost_center=CC-1234 --watch

  Logs  %s
  Stop  Ctrl-C; the data is kept.

`, d.site.Dir, d.site.Path("roadbed.log"))
}
