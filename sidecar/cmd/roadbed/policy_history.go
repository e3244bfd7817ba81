package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// pastSource is where the past is read from: the database, or an export of it.
type pastSource struct {
	Database string `help:"PostgreSQL connection string; the history and every living instance are read from it." env:"ROADBED_DATABASE_URL"`
	Verdicts string `help:"File that roadbed policy export wrote, instead of a database; - is the standard input." placeholder:"FILE"`
	Since    string `help:"Only verdicts since then: a date (2026-11-01), or an age (30d, 12h)." placeholder:"WHEN"`
	Stage    string `help:"Which verdicts: submit, queue, plan, approval or all." default:"submit" enum:"submit,queue,plan,approval,all"`
}

// read is the past and what closes it.
func (s pastSource) read(ctx context.Context, now time.Time) (iter.Seq2[provision.Past, error], func(), error) {
	filter := provision.HistoryFilter{}
	var err error
	if filter.Since, err = parseSince(s.Since, now); err != nil {
		return nil, nil, err
	}
	if s.Stage != "all" {
		filter.Stages = []provision.Stage{provision.Stage(s.Stage)}
	}
	switch {
	case s.Verdicts == "-":
		return filtered(readPast(os.Stdin), filter), func() {}, nil
	case s.Verdicts != "":
		file, err := os.Open(s.Verdicts)
		if err != nil {
			return nil, nil, fmt.Errorf("read verdicts: %w", err)
		}
		return filtered(readPast(file), filter), func() { file.Close() }, nil
	case s.Database != "":
		store, err := postgres.Open(s.Database, postgres.Options{MaxConnections: 2, Timeout: time.Minute})
		if err != nil {
			return nil, nil, err
		}
		return concat(store.History(ctx, filter), store.Fleet(ctx), store.ApprovalsInHand(ctx)), store.Close, nil
	default:
		return nil, nil, provision.Errorf(provision.Invalid, "name where the past is kept: --database URL, or --verdicts FILE as roadbed policy export writes it")
	}
}

func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, provision.Errorf(provision.Invalid, "--since is %q; give a date such as 2026-11-01, or an age such as 30d or 12h", text)
}

// readPast yields the lines of an export.
func readPast(from io.Reader) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		decoder := json.NewDecoder(bufio.NewReaderSize(from, 1<<20))
		decoder.UseNumber()
		for n := 1; ; n++ {
			var past provision.Past
			err := decoder.Decode(&past)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(past, provision.Errorf(provision.Invalid, "entry %d of the verdicts cannot be read: %w", n, err))
				return
			}
			if !yield(past, nil) {
				return
			}
		}
	}
}

// filtered does to a file what the database does to itself.
func filtered(all iter.Seq2[provision.Past, error], f provision.HistoryFilter) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		for past, err := range all {
			isOther := err == nil && past.Kind == provision.PastVerdict &&
				(past.At.Before(f.Since) || len(f.Stages) > 0 && f.Stages[0] != past.Stage)
			if !isOther && !yield(past, err) {
				return
			}
		}
	}
}

func concat(parts ...iter.Seq2[provision.Past, error]) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		for _, part := range parts {
			for past, err := range part {
				if !yield(past, err) {
					return
				}
			}
		}
	}
}

// readSide loads policies with their prices.
func readSide(files fs.FS, what string) (policy.Side, error) {
	bundle, err := policy.Load(files)
	if err != nil {
		return policy.Side{}, fmt.Errorf("load %s policies: %w", what, err)
	}
	book, err := cost.ParseBook(bundle.PricesYAML())
	if err != nil {
		return policy.Side{}, fmt.Errorf("load %s prices: %w", what, err)
	}
	return policy.Side{Bundle: bundle, Prices: cost.New(book), PricesDigest: book.Digest()}, nil
}

type policyExportCommand struct {
	Database string `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	Since    string `help:"Only verdicts since then: a date (2026-11-01), or an age (30d, 12h)." placeholder:"WHEN"`
	Stage    string `help:"Which verdicts: submit, queue, plan, approval or all." default:"all" enum:"submit,queue,plan,approval,all"`
}

// Run writes the past as JSON lines, for replay where the database is not.
func (c *policyExportCommand) Run(ctx context.Context, out io.Writer) error {
	past, done, err := pastSource{Database: c.Database, Since: c.Since, Stage: c.Stage}.read(ctx, time.Now())
	if err != nil {
		return err
	}
	defer done()
	buffered := bufio.NewWriterSize(out, 1<<16)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for entry, err := range past {
		if err != nil {
			return err
		}
		if err := encoder.Encode(entry); err != nil {
			return fmt.Errorf("write verdicts: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write verdicts: %w", err)
	}
	return nil
}

type policyReplayCommand struct {
	policyFiles
	pastSource
	Candidate     string `help:"Folder of policies that might replace the current ones; by default the current ones, which must differ in nothing." type:"existingdir" placeholder:"DIR"`
	FailOver      int64  `help:"Exit 1 when more than this many verdicts, or this many instances, would no longer go on by themselves; -1 never." default:"-1" placeholder:"N"`
	FailOverMoney string `help:"Exit 1 when those verdicts, or those instances, cost more than this many dollars a month." placeholder:"DOLLARS"`
	MaxVoided     int64  `help:"Exit 1 when the candidate would void more than this many approvals that are waited for or granted; -1 never." default:"-1" placeholder:"N"`
	SelfCheck     int    `help:"Decide each nth stored verdict again with the policies that gave it; 1 is all." default:"10" placeholder:"N"`
	Workers       int    `help:"Judgements at once." default:"2"`
	JSON          bool   `name:"json" help:"Print the whole report as JSON."`
}

// Run decides the past again. It exits 1 when more changes than the thresholds
// allow, when something cannot be decided, or when the self-check fails.
func (c *policyReplayCommand) Run(ctx context.Context, out io.Writer) error {
	money := provision.Money(-1)
	if c.FailOverMoney != "" {
		var err error
		if money, err = provision.ParseMoney(c.FailOverMoney); err != nil {
			return err
		}
	}
	current, err := readSide(folder(c.Policies, policies.FS), "current")
	if err != nil {
		return err
	}
	candidate := current
	if c.Candidate != "" {
		if candidate, err = readSide(os.DirFS(c.Candidate), "candidate"); err != nil {
			return err
		}
	}
	past, done, err := c.read(ctx, time.Now())
	if err != nil {
		return err
	}
	defer done()
	options := policy.ReplayOptions{Baseline: current, Candidate: candidate, Workers: c.Workers, SelfCheck: c.SelfCheck}
	if isTerminal(os.Stderr) {
		options.Progress = func(n int64) { fmt.Fprintf(os.Stderr, "\r%d decided", n) }
		defer fmt.Fprint(os.Stderr, "\r\033[K")
	}
	report, err := policy.Replay(ctx, past, options)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(out, report); err != nil {
			return err
		}
	} else {
		printReplay(out, report)
	}
	if why := c.refuses(report, money); why != "" {
		if !c.JSON {
			fmt.Fprintln(out, "✕", why)
		}
		return exit(exitFailed)
	}
	return nil
}

// refuses is why the report does not pass, "" when it does.
func (c *policyReplayCommand) refuses(r *policy.ReplayReport, money provision.Money) string {
	if r.SelfCheck.Differences > 0 {
		return "The self-check failed: the past does not say what its policies say, so nothing above can be trusted."
	}
	if r.Undecided > 0 {
		return "Some of the past could not be decided again, so what the candidate changes is not known."
	}
	if c.MaxVoided >= 0 && r.Approvals.Count() > c.MaxVoided {
		return fmt.Sprintf("%d of the approvals in hand would be void; --max-voided is %d.", r.Approvals.Count(), c.MaxVoided)
	}
	for i, what := range []string{"verdicts", "instances"} {
		part := []policy.Impact{r.History, r.Fleet}[i]
		if c.FailOver >= 0 && part.Stopped() > c.FailOver {
			return fmt.Sprintf("%d %s would no longer go on by themselves; --fail-over is %d.", part.Stopped(), what, c.FailOver)
		}
		if money >= 0 && part.StoppedCost() > money {
			return fmt.Sprintf("%s that would no longer go on by themselves cost %s a month; --fail-over-money is %s.", what, part.StoppedCost(), money)
		}
	}
	return ""
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func printReplay(out io.Writer, r *policy.ReplayReport) {
	took := r.Took.Round(10 * time.Millisecond)
	fmt.Fprintf(out, "%d verdicts and %d living instances decided again in %s\n", r.History.Decided, r.Fleet.Decided, took)
	fmt.Fprintf(out, "  current    %s\n  candidate  %s\n", r.Baseline.Bundle, r.Candidate.Bundle)
	switch {
	case r.SelfCheck.Differences > 0:
		fmt.Fprintf(out, "✕ Self-check: %d of %d stored verdicts are not what the policies that gave them say\n", r.SelfCheck.Differences, r.SelfCheck.Checked)
		printExamples(out, r.SelfCheck.Examples)
	case r.SelfCheck.Checked > 0:
		fmt.Fprintf(out, "✓ Self-check: %d of the stored verdicts decided again by the policies that gave them: no difference\n", r.SelfCheck.Checked)
	default:
		fmt.Fprintln(out, "· Self-check: no stored verdict is of the current policies, so none could be checked")
	}
	if r.Undecided > 0 {
		fmt.Fprintf(out, "✕ %d could not be decided again\n", r.Undecided)
		for _, reason := range r.Reasons {
			fmt.Fprintf(out, "    %d: %s\n", reason.Count, reason.Reason)
		}
	}
	printImpact(out, "Verdicts", r.History)
	printImpact(out, "Instances", r.Fleet)
	printVoided(out, r.Approvals)
}

func printVoided(out io.Writer, v policy.Voided) {
	switch {
	case v.Decided == 0:
		return
	case v.Count()+v.Unneeded.Count == 0:
		fmt.Fprintf(out, "\nApprovals: %d in hand, no difference\n", v.Decided)
		return
	}
	fmt.Fprintln(out, "\nApprovals")
	for _, part := range []struct {
		mark, what string
		group      policy.Group
	}{
		{"✕", "void: denied", v.Denied}, {"◌", "void: asked anew", v.Anew}, {"✓", "no longer needed", v.Unneeded},
	} {
		printGroup(out, part.mark, part.what, part.group)
	}
}

func printGroup(out io.Writer, mark, what string, group policy.Group) {
	if group.Count == 0 {
		return
	}
	fmt.Fprintf(out, "  %s %d %s, %s a month\n", mark, group.Count, what, group.MonthlyCost)
	printShares(out, "rule", group.Rules)
	printShares(out, "team", group.Teams)
	printShares(out, "environment", group.Environments)
	printExamples(out, group.Examples[:min(3, len(group.Examples))])
}

func printImpact(out io.Writer, title string, i policy.Impact) {
	if i.Decided == 0 {
		return
	}
	if i.Differences() == 0 && i.Prices.Changed+i.Prices.NewlyKnown+i.Prices.NewlyUnknown == 0 {
		fmt.Fprintf(out, "\n%s: no difference\n", title)
		return
	}
	fmt.Fprintf(out, "\n%s\n", title)
	for _, part := range []struct {
		mark, what string
		group      policy.Group
	}{
		{"✕", "newly denied", i.NewlyDenied}, {"◌", "newly needing approval", i.NewlyNeedingApproval},
		{"◌", "denied before, approvable now", i.NewlyApprovable}, {"✓", "newly allowed", i.NewlyAllowed},
		{"·", "the same outcome with other findings", i.Reworded},
	} {
		printGroup(out, part.mark, part.what, part.group)
	}
	if p := i.Prices; p.Changed+p.NewlyKnown+p.NewlyUnknown > 0 {
		fmt.Fprintf(out, "  · %d prices change: %s becomes %s a month; %d become unknown, %d known\n",
			p.Changed, p.Before, p.After, p.NewlyUnknown, p.NewlyKnown)
	}
}

func printShares(out io.Writer, what string, shares []policy.Share) {
	const most = 10
	for n, share := range shares {
		if n == most {
			fmt.Fprintf(out, "      and %d more; --json has them all\n", len(shares)-most)
			return
		}
		fmt.Fprintf(out, "      %-11s %-32s %6d  %14s\n", what, share.Name, share.Count, share.MonthlyCost)
	}
}

func printExamples(out io.Writer, examples []policy.Example) {
	for _, e := range examples {
		fmt.Fprintf(out, "      for example %s in %s: %s → %s. %s\n", e.Name, e.Environment, e.Before, e.After, e.Message)
	}
}
