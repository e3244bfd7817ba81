package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type policyMutateCommand struct {
	policyFiles
	Rule     string        `help:"Change only the rule of this name, and its numbers." placeholder:"NAME"`
	Verdicts string        `help:"File that roadbed policy export wrote: name the rules that never spoke in it, and the changes that only it notices." placeholder:"FILE"`
	Samples  int           `help:"How many of those verdicts each surviving change is tried on." default:"300" placeholder:"N"`
	MinScore float64       `help:"Exit 1 when the tests notice less than this share of the changes, in percent." default:"0" placeholder:"PERCENT"`
	Budget   time.Duration `help:"When to stop." default:"60s"`
	JSON     bool          `name:"json" help:"Print the report as JSON."`
}

// mutateView is what --json prints.
type mutateView struct {
	policy.MutationReport
	Score   float64               `json:"score"`
	Firings *policy.FiringsReport `json:"firings,omitempty"`
}

// Run changes the policies in one place at a time and names the changes that no
// test notices. It exits 1 under --min-score, or when the budget ran out before
// all was tried.
func (c *policyMutateCommand) Run(ctx context.Context, out io.Writer) error {
	files := folder(c.Policies, policies.FS)
	options := policy.MutateOptions{Rule: c.Rule, Budget: c.Budget}
	view := mutateView{}
	if c.Verdicts != "" {
		bundle, err := policy.Load(files)
		if err != nil {
			return fmt.Errorf("load policies: %w", err)
		}
		past, done, err := pastSource{Verdicts: c.Verdicts, Stage: "all"}.read(ctx, time.Now())
		if err != nil {
			return err
		}
		defer done()
		sample := &sample{most: c.Samples}
		if view.Firings, err = bundle.Firings(ctx, sample.tap(past)); err != nil {
			return err
		}
		options.Inputs = sample.inputs
	}
	if isTerminal(os.Stderr) {
		options.Progress = func(tried, all int) { fmt.Fprintf(os.Stderr, "\r%d of %d changes tried", tried, all) }
		defer fmt.Fprint(os.Stderr, "\r\033[K")
	}
	report, err := policy.Mutate(ctx, files, options)
	if err != nil {
		return err
	}
	view.MutationReport, view.Score = *report, report.Score()
	if c.JSON {
		err = printJSON(out, view)
	} else {
		printMutations(out, view)
	}
	if err == nil && (view.Score < c.MinScore || report.Untried > 0) {
		return exit(exitFailed)
	}
	return err
}

// sample keeps an even share of a history's inputs, however long that is: each
// nth, with n doubled whenever there are too many.
type sample struct {
	most   int
	every  int
	seen   int
	inputs []json.RawMessage
}

func (s *sample) tap(past iter.Seq2[provision.Past, error]) iter.Seq2[provision.Past, error] {
	return func(yield func(provision.Past, error) bool) {
		for entry, err := range past {
			if err == nil && entry.Kind == provision.PastVerdict && len(entry.Input) > 0 {
				s.add(entry.Input)
			}
			if !yield(entry, err) {
				return
			}
		}
	}
}

func (s *sample) add(input json.RawMessage) {
	s.every = max(s.every, 1)
	if s.most > 0 && s.seen%s.every == 0 {
		s.inputs = append(s.inputs, input)
	}
	s.seen++
	if s.most > 0 && len(s.inputs) > s.most {
		kept := s.inputs[:0]
		for i := 0; i < len(s.inputs); i += 2 {
			kept = append(kept, s.inputs[i])
		}
		s.inputs, s.every = kept, 2*s.every
	}
}

func printMutations(out io.Writer, v mutateView) {
	for _, s := range v.Survivors {
		note := ""
		if s.InHistory {
			note = " (it would have changed a verdict in the past)"
		}
		fmt.Fprintf(out, "! %s%s\n", s, note)
	}
	fmt.Fprintf(out, "%d changes tried, the tests notice %d: score %.1f %%, in %s\n", v.Mutants, v.Killed, v.Score, v.Took.Round(10*time.Millisecond))
	if v.Untried > 0 {
		fmt.Fprintf(out, "✕ %d more were not tried before --budget ran out\n", v.Untried)
	}
	if v.Firings == nil {
		return
	}
	fmt.Fprintf(out, "\nRules in %d verdicts\n", v.Firings.Decided)
	for _, firing := range v.Firings.Rules {
		switch {
		case firing.Fired == 0:
			fmt.Fprintf(out, "  ! %s never spoke\n", firing.Rule)
		case firing.ShadowedBy != "":
			fmt.Fprintf(out, "  ! %s stopped %d, each of which %s stopped too\n", firing.Rule, firing.Stopped, firing.ShadowedBy)
		default:
			fmt.Fprintf(out, "  · %s spoke %d times and stopped %d\n", firing.Rule, firing.Fired, firing.Stopped)
		}
	}
	if v.Firings.Undecided > 0 {
		fmt.Fprintf(out, "  ✕ %d verdicts could not be decided again\n", v.Firings.Undecided)
	}
}
