package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// ReplayOptions say what to compare, and how.
type ReplayOptions struct {
	Baseline  Side // what is in force
	Candidate Side // what might be
	Workers   int  // judgements at once; 0 is 2
	// SelfCheck decides each nth stored verdict of the baseline again with the
	// baseline, to see that it says what it said; 0 is 10, 1 is all. When the
	// candidate is the baseline, all are checked.
	SelfCheck int
	Examples  int                 // how many of each kind of change are named; 0 is 10
	Progress  func(decided int64) // called now and then, by one goroutine at a time; may be nil
}

// Replay decides everything in past with the candidate and compares it with
// what the baseline says. What the baseline said is what is stored where its
// bundle and prices said it, and is decided again where others did. It blocks
// until past ends, holds a few hundred entries at a time, and its report is the
// same however many workers there are. What cannot be decided is counted; the
// error is past's own, or that ctx ended.
func Replay(ctx context.Context, past iter.Seq2[provision.Past, error], o ReplayOptions) (*ReplayReport, error) {
	began := time.Now()
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.SelfCheck <= 0 {
		o.SelfCheck = 10
	}
	if o.Examples <= 0 {
		o.Examples = 10
	}
	jobs := make(chan replayJob, 64*o.Workers)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(jobs)
		return readPast(ctx, past, jobs, o.Progress)
	})
	tallies := make([]*tally, o.Workers)
	for i := range tallies {
		tallies[i] = newTally(o.Examples)
		group.Go(func() error {
			r := replayer{o, tallies[i]}
			for job := range jobs {
				if err := r.decide(ctx, job); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, other := range tallies[1:] {
		tallies[0].add(other)
	}
	report := tallies[0].report()
	report.Baseline = Version{o.Baseline.Bundle.Digest(), o.Baseline.PricesDigest}
	report.Candidate = Version{o.Candidate.Bundle.Digest(), o.Candidate.PricesDigest}
	report.Took = time.Since(began)
	return report, nil
}

// replayJob is one entry of the past, its place in it, and what prices it.
type replayJob struct {
	number   int64 // among those of its kind, from 0
	past     provision.Past
	offering *provision.Offering // nil when it is kept no longer
}

func readPast(ctx context.Context, past iter.Seq2[provision.Past, error], jobs chan<- replayJob, progress func(int64)) error {
	offerings := map[string]*provision.Offering{}
	numbers := map[string]int64{}
	var sent int64
	for entry, err := range past {
		if err != nil {
			return err
		}
		switch entry.Kind {
		case provision.PastOffering:
			offerings[entry.OfferingDigest] = entry.Offering
			continue
		case provision.PastVerdict, provision.PastInstance:
		case provision.PastApproval:
			if entry.Approval == nil {
				return provision.Errorf(provision.Invalid, "the history has an approval without its needs, of request %s", entry.RequestID)
			}
		default:
			return provision.Errorf(provision.Invalid, "the history has an entry of kind %q; it must be verdict, instance, approval or offering", entry.Kind)
		}
		select {
		case jobs <- replayJob{numbers[entry.Kind], entry, offerings[entry.OfferingDigest]}:
		case <-ctx.Done():
			return ctx.Err()
		}
		numbers[entry.Kind]++
		if sent++; progress != nil && sent%500 == 0 {
			progress(sent)
		}
	}
	if progress != nil {
		progress(sent)
	}
	return nil
}

// replayer is one worker.
type replayer struct {
	ReplayOptions
	tally *tally
}

// decision is what one side says of an entry.
type decision struct {
	outcome  provision.Outcome
	findings []said // sorted by what they say
	price    price
}

// decide compares both sides' words on one entry. Its error is only that ctx
// ended: an entry that cannot be decided is counted.
func (r replayer) decide(ctx context.Context, job replayJob) error {
	ask, err := readAsk(job)
	if err == nil {
		var before, after decision
		if before, after, err = r.both(ctx, job, ask); err == nil {
			if job.past.Kind == provision.PastApproval {
				r.tally.compareApprovals(job, ask, before, after)
			} else {
				r.tally.compare(job, ask, before, after)
			}
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.tally.undecided(job, err)
	return nil
}

func (r replayer) both(ctx context.Context, job replayJob, ask replayAsk) (before, after decision, err error) {
	unchanged := r.Baseline.Bundle.Digest() == r.Candidate.Bundle.Digest()
	said := job.past.Kind == provision.PastVerdict && job.past.BundleDigest == r.Baseline.Bundle.Digest() &&
		(job.past.PricesDigest == "" || job.past.PricesDigest == r.Baseline.PricesDigest)
	if !said {
		if before, err = r.Baseline.say(ctx, job, ask); err != nil || unchanged {
			return before, before, err
		}
		after, err = r.Candidate.say(ctx, job, ask)
		return before, after, err
	}
	before = decision{job.past.Outcome, sorted(job.past.Findings), ask.price}
	if after, err = r.Candidate.say(ctx, job, ask); err != nil {
		return before, after, err
	}
	again := after
	// A denial may be an approval that nobody was there to give: that is known
	// only from what the policies themselves said.
	refused := before.outcome == provision.OutcomeDeny && after.says(provision.LevelRequireApproval)
	check := unchanged || job.number%int64(r.SelfCheck) == 0
	if !unchanged && (refused || check) {
		if again, err = r.Baseline.say(ctx, job, ask); err != nil {
			return before, after, err
		}
	}
	if why := refusal(before, again); why != "" {
		after, again = after.refuse(why), again.refuse(why)
	}
	if check {
		r.tally.selfCheck(job, before, again)
	}
	return before, after, nil
}

// says reports whether any finding is of the level.
func (d decision) says(level provision.Level) bool {
	return slices.ContainsFunc(d.findings, func(f said) bool { return f.Level == level })
}

// refusal is why a stored verdict denies what its policies let an approval
// lift: nobody could give it then. It is "" when it does not.
func refusal(stored, again decision) string {
	for _, f := range again.findings {
		if f.Level != provision.LevelRequireApproval {
			continue
		}
		for _, kept := range stored.findings {
			why, longer := strings.CutPrefix(kept.Message, f.Message+" ")
			if longer && kept.Level == provision.LevelDeny && kept.Rule == f.Rule && kept.Path == f.Path {
				return why
			}
		}
	}
	return ""
}

// refuse is the decision where nobody can give an approval.
func (d decision) refuse(why string) decision {
	findings := make([]provision.Finding, len(d.findings))
	for i, f := range d.findings {
		findings[i] = f.Finding
		if f.Level == provision.LevelRequireApproval {
			findings[i].Level, findings[i].Message = provision.LevelDeny, f.Message+" "+why
			findings[i].Approvers, findings[i].Count = nil, 0
		}
	}
	return decision{outcomeOf(findings), sorted(findings), d.price}
}

// replayAsk is an entry's input, read once.
type replayAsk struct {
	input ast.Object
	price price // as it was when the input was made
}

var errNoInput = errors.New("what its rules saw was not stored")

func readAsk(job replayJob) (replayAsk, error) {
	if len(job.past.Input) == 0 {
		return replayAsk{}, errNoInput
	}
	value, err := ast.ValueFromReader(bytes.NewReader(job.past.Input))
	if err != nil {
		return replayAsk{}, fmt.Errorf("its input cannot be read: %w", err)
	}
	if err := complete(value); err != nil {
		return replayAsk{}, err
	}
	object := value.(ast.Object) // since it is complete
	known, _ := member(object, "price", "known").(ast.Boolean)
	number, _ := member(object, "price", "monthly_mills").(ast.Number)
	mills, _ := number.Int64()
	return replayAsk{object, price{bool(known), provision.Money(mills)}}, nil
}

// complete wants what FindingsJSON wants.
func complete(input ast.Value) error {
	for _, path := range required {
		if _, err := input.Find(path[1:]); err != nil {
			return fmt.Errorf("its input has no %s", path)
		}
	}
	return nil
}

// member is a value in an object by its path, nil when there is none.
func member(object ast.Object, path ...string) ast.Value {
	var value ast.Value = object
	for _, key := range path {
		inner, isObject := value.(ast.Object)
		if !isObject {
			return nil
		}
		term := inner.Get(ast.StringTerm(key))
		if term == nil {
			return nil
		}
		value = term.Value
	}
	return value
}

// text is a string in the input, "" when it is none.
func (a replayAsk) text(path ...string) string {
	s, _ := member(a.input, path...).(ast.String)
	return string(s)
}
