// Command roadbed is all of Roadbed in one binary: the sidecar, the worker and
// its supervisor, a development environment, and the client verbs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/worker"
)

// version is set by the linker on a release.
var version = "dev"

// cli is every command; its tags are the reference that --help prints.
type cli struct {
	LogLevel slog.Level       `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"ROADBED_LOG_LEVEL"`
	Version  kong.VersionFlag `help:"Print the version and stop."`

	Serve         serveCommand         `cmd:"" group:"Run Roadbed" help:"Run the sidecar: API, dispatcher, recorder and relay."`
	Worker        workerCommand        `cmd:"" group:"Run Roadbed" help:"Run a worker of one pool."`
	Migrate       migrateCommand       `cmd:"" group:"Run Roadbed" help:"Bring the database's schema up to this version."`
	State         stateCommand         `cmd:"" group:"Run Roadbed" help:"Move the bytes of Terraform states into a bucket or out of it."`
	Notifications notificationsCommand `cmd:"" group:"Run Roadbed" help:"See and retry notices that were given up."`
	Keys          keysCommand          `cmd:"" group:"Run Roadbed" help:"Make the keys that state is sealed with, and the users of NATS."`
	Providers     providersCommand     `cmd:"" group:"Run Roadbed" help:"List the Terraform providers that a worker may run."`
	Doctor        doctorCommand        `cmd:"" group:"Run Roadbed" help:"Check every connection, key, clock and permission, and say what to do."`
	Dev           devCommand           `cmd:"" group:"Run Roadbed" help:"Run everything on this machine, for development."`
	Supervise     superviseCommand     `cmd:"" hidden:"" help:"Own one Terraform process; started by a worker."`

	Estimate    estimateCommand    `cmd:"" group:"Ask offline" help:"Price an offering's parameters, without a server."`
	Evaluate    evaluateCommand    `cmd:"" group:"Ask offline" help:"Say whether policy allows an ask, without a server."`
	Offering    offeringCommand    `cmd:"" group:"Ask offline" help:"See what an offering is; publish and withdraw its versions."`
	Lint        lintCommand        `cmd:"" group:"Author" help:"Check offerings and policies: everything that disagrees."`
	Generate    generateCommand    `cmd:"" group:"Author" help:"Rewrite what is generated from offerings: forms and reference pages."`
	Policy      policyCommand      `cmd:"" group:"Author" help:"Work on policies."`
	Request     requestCommand     `cmd:"" group:"Ask a server" help:"Create, change and destroy; get, watch, list, approve, reject and cancel."`
	Instance    instanceCommand    `cmd:"" group:"Ask a server" help:"See what there is."`
	Import      importCommand      `cmd:"" group:"Ask a server" help:"Ask for existing resources to become instances."`
	Preview     previewCommand     `cmd:"" group:"Ask a server" help:"Make, list, extend and end ephemeral environments for pull requests."`
	Approval    approvalCommand    `cmd:"" group:"Ask a server" help:"See what waits for your approval."`
	Drift       driftCommand       `cmd:"" group:"Ask a server" help:"See what is not as it was asked for; check, revert, adopt, suppress."`
	Campaign    campaignCommand    `cmd:"" group:"Ask a server" help:"Roll a version out: plan, approve, start, halt, resume."`
	Budgets     budgetsCommand     `cmd:"" group:"Ask a server" help:"See what is left of the budgets that you may see."`
	Credentials credentialsCommand `cmd:"" group:"Ask a server" help:"Open an instance's credentials; each opening is recorded."`
	Pause       pauseCommand       `cmd:"" group:"Ask a server" help:"Hold what is asked for of an offering, of a pool or at all."`
	Resume      resumeCommand      `cmd:"" group:"Ask a server" help:"Let go on what a pause holds."`
	Pauses      pausesCommand      `cmd:"" group:"Ask a server" help:"List the pauses in force."`
	Operator    operatorCommand    `cmd:"" group:"Ask a server" help:"Say what becomes of a request whose worker is lost."`
	Unused      unusedCommand      `cmd:"" group:"Ask a server" help:"See what nobody uses, and answer for it."`
	Measures    measuresCommand    `cmd:"" group:"Ask a server" help:"See how the platform fares; import ticket counts."`
	Events      eventsCommand      `cmd:"" group:"Ask a server" help:"Follow the events on NATS; see what a restored database has forgotten."`
}

func main() {
	if worker.IsShim(os.Args[0]) {
		os.Exit(worker.ShimMain(os.Args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], onTerminal(os.Stdout), onTerminal(os.Stderr)))
}

// run is main without the process: it parses, runs and answers an exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exited := -1
	parser, err := newParser(ctx, &c, stdout, stderr, func(code int) { exited = code })
	if err != nil {
		fmt.Fprintln(stderr, "roadbed:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(withOfferingFlags(args))
	if exited >= 0 {
		return exited // --help or --version
	}
	if err != nil {
		fmt.Fprintf(stderr, "roadbed: %v; see %s --help\n", err, commandOf(err))
		return exitUsage
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	if err := parsed.Run(log); err != nil {
		return explain(stderr, err)
	}
	return exitOK
}

// commandOf is the command that a command line was refused for, as far as it
// could be read.
func commandOf(err error) string {
	var refused *kong.ParseError
	if errors.As(err, &refused) && refused.Context.Selected() != nil {
		return refused.Context.Selected().FullPath()
	}
	return "roadbed"
}

// newParser reads a command line into c; exit is called for --help and the like.
func newParser(ctx context.Context, c *cli, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("roadbed"),
		kong.Description("Self-service infrastructure behind the Backstage Create page."),
		kong.Vars{"version": version},
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
}

// The exit codes of every command.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitDenied  = 3
	exitWaiting = 4
)

// exit is an error that only carries a code: what there was to say is said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// explain prints an error for the person at the terminal and answers its code.
func explain(w io.Writer, err error) int {
	var code exit
	if errors.As(err, &code) {
		return int(code)
	}
	var shown *provision.Error
	if !errors.As(err, &shown) {
		fmt.Fprintln(w, "roadbed:", err)
		return exitFailed
	}
	fmt.Fprintln(w, "roadbed:", shown.Message)
	for _, fault := range shown.Details {
		if !strings.Contains(shown.Message, fault.Message) {
			fmt.Fprintf(w, "  %s: %s\n", fault.Path, fault.Message)
		}
	}
	printAlternatives(w, shown.Alternatives)
	if shown.RequestID != "" {
		fmt.Fprintf(w, "  (request %s)\n", shown.RequestID)
	}
	switch shown.Kind {
	case provision.Denied:
		return exitDenied
	case provision.Invalid:
		return exitUsage
	default:
		return exitFailed
	}
}
