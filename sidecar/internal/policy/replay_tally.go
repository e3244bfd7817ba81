package policy

import (
	"cmp"
	"slices"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// tally counts for one worker. What it keeps grows with rules, teams and
// environments, not with the past.
type tally struct {
	examples      int
	parts         map[string]*Impact              // by kind of entry
	shares        map[*Group][3]map[string]*Share // rules, teams, environments
	self          SelfCheck
	undecidedFor  map[string]int64
	undecidedRest int64
}

func newTally(examples int) *tally {
	t := &tally{examples: examples, parts: map[string]*Impact{}, shares: map[*Group][3]map[string]*Share{}, undecidedFor: map[string]int64{}}
	// Approvals are counted in an Impact too: NewlyDenied, NewlyNeedingApproval for
	// what is asked anew, and NewlyAllowed for what nobody need approve.
	for _, kind := range []string{provision.PastVerdict, provision.PastInstance, provision.PastApproval} {
		t.parts[kind] = &Impact{}
		for _, g := range groups(t.parts[kind]) {
			t.shares[g] = [3]map[string]*Share{{}, {}, {}}
		}
	}
	return t
}

func groups(i *Impact) []*Group {
	return []*Group{&i.NewlyDenied, &i.NewlyNeedingApproval, &i.NewlyApprovable, &i.NewlyAllowed, &i.Reworded}
}

// compare counts one entry that both sides have decided.
func (t *tally) compare(job replayJob, ask replayAsk, before, after decision) {
	part := t.parts[job.past.Kind]
	part.Decided++
	part.Prices.count(before.price, after.price)
	changed := differing(before.findings, after.findings)
	var group *Group
	stops := after.findings // whose findings explain the change
	switch was, is := standing(before.outcome), standing(after.outcome); {
	case is == denied && was != denied:
		group = &part.NewlyDenied
	case is == approvable && was == allowed:
		group = &part.NewlyNeedingApproval
	case is == approvable && was == denied:
		group, stops = &part.NewlyApprovable, before.findings
	case is == allowed && was != allowed:
		group, stops = &part.NewlyAllowed, before.findings
	case before.outcome != after.outcome || len(changed) > 0:
		group, stops = &part.Reworded, append(slices.Clone(after.findings), before.findings...)
	default:
		return
	}
	t.put(group, group == &part.Reworded, stops, changed, exampleOf(job, ask, before, after))
}

// compareApprovals counts an approval whose fate differs between both sides.
func (t *tally) compareApprovals(job replayJob, ask replayAsk, before, after decision) {
	part := t.parts[job.past.Kind]
	part.Decided++
	was, _ := job.past.Approval.Under(before.verdict())
	is, why := job.past.Approval.Under(after.verdict())
	if was == is {
		return
	}
	var group *Group
	stops := after.findings
	switch {
	case is == provision.DeniedSince:
		group = &part.NewlyDenied
	case is == provision.AskedAnew && was != provision.DeniedSince:
		group = &part.NewlyNeedingApproval
	case is == provision.Unneeded:
		group, stops = &part.NewlyAllowed, before.findings
	default:
		return // the candidate is the better one for it
	}
	example := exampleOf(job, ask, before, after)
	example.Message = why
	t.put(group, false, stops, differing(before.findings, after.findings), example)
}

// verdict is the decision as an approval looks at it.
func (d decision) verdict() provision.Verdict {
	v := provision.Verdict{Outcome: d.outcome, Estimate: &provision.Estimate{MonthlyCost: d.price.mills}}
	for _, f := range d.findings {
		v.Findings = append(v.Findings, f.Finding)
	}
	return v
}

// put counts an entry in a group. Of stops, the findings that explain it, those
// count that changed and, unless all do, that stop an ask.
func (t *tally) put(group *Group, all bool, stops, changed []said, example Example) {
	var rules []string
	for _, f := range stops {
		if stopped := f.Level == provision.LevelDeny || f.Level == provision.LevelRequireApproval; !stopped && !all {
			continue
		}
		if hasSaid(changed, f) && !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
			if example.Message == "" {
				example.Message = f.Message
			}
		}
	}
	group.Count++
	group.MonthlyCost += example.MonthlyCost
	group.Examples = t.keep(group.Examples, example)
	for i, names := range [3][]string{rules, {example.Owner}, {example.Environment}} {
		for _, name := range names {
			share := t.shares[group][i][name]
			if share == nil {
				share = &Share{Name: name}
				t.shares[group][i][name] = share
			}
			share.Count++
			share.MonthlyCost += example.MonthlyCost
		}
	}
}

func standing(o provision.Outcome) int {
	switch o {
	case provision.OutcomeAllow, provision.OutcomeWarn:
		return allowed
	case provision.OutcomeRequireApproval:
		return approvable
	default:
		return denied
	}
}

// differing are the findings that only one side has.
func differing(a, b []said) []said {
	var only []said
	for _, pair := range [2][2][]said{{a, b}, {b, a}} {
		for _, f := range pair[0] {
			if !hasSaid(pair[1], f) {
				only = append(only, f)
			}
		}
	}
	return only
}

func hasSaid(findings []said, f said) bool {
	return slices.ContainsFunc(findings, func(other said) bool { return same(f, other) })
}

func (p *PriceChange) count(before, after price) {
	switch {
	case before.known && after.known:
		p.Before += before.mills
		p.After += after.mills
		if before.mills != after.mills {
			p.Changed++
		}
	case before.known:
		p.NewlyUnknown++
	case after.known:
		p.NewlyKnown++
	}
}

func exampleOf(job replayJob, ask replayAsk, before, after decision) Example {
	return Example{
		RequestID: job.past.RequestID, InstanceID: job.past.InstanceID, Name: ask.text("name"), Owner: ask.text("owner"),
		Environment: ask.text("environment", "name"), Before: before.outcome, After: after.outcome,
		MonthlyCost: after.price.mills, number: job.number,
	}
}

// keep keeps the oldest, so that the workers' shares of the past do not matter.
func (t *tally) keep(examples []Example, more ...Example) []Example {
	examples = append(examples, more...)
	slices.SortFunc(examples, func(a, b Example) int { return cmp.Compare(a.number, b.number) })
	return examples[:min(len(examples), t.examples)]
}

func (t *tally) selfCheck(job replayJob, stored, again decision) {
	t.self.Checked++
	if stored.outcome == again.outcome && slices.EqualFunc(stored.findings, again.findings, same) && stored.price == again.price {
		return
	}
	t.self.Differences++
	example := Example{
		RequestID: job.past.RequestID, InstanceID: job.past.InstanceID, Before: stored.outcome, After: again.outcome,
		MonthlyCost: again.price.mills, number: job.number,
	}
	if differ := differing(stored.findings, again.findings); len(differ) > 0 {
		example.Message = differ[0].Message
	}
	t.self.Examples = t.keep(t.self.Examples, example)
}

// mostReasons bounds what a hostile history could make a tally keep.
const mostReasons = 1000

func (t *tally) undecided(_ replayJob, err error) {
	reason := err.Error()
	if _, known := t.undecidedFor[reason]; !known && len(t.undecidedFor) >= mostReasons {
		t.undecidedRest++
		return
	}
	t.undecidedFor[reason]++
}

// add takes another worker's counts.
func (t *tally) add(other *tally) {
	t.self.Checked += other.self.Checked
	t.self.Differences += other.self.Differences
	t.self.Examples = t.keep(t.self.Examples, other.self.Examples...)
	for reason, count := range other.undecidedFor {
		t.undecidedFor[reason] += count
	}
	t.undecidedRest += other.undecidedRest
	for kind, part := range t.parts {
		theirs := other.parts[kind]
		part.Decided += theirs.Decided
		part.Prices.Changed += theirs.Prices.Changed
		part.Prices.Before += theirs.Prices.Before
		part.Prices.After += theirs.Prices.After
		part.Prices.NewlyKnown += theirs.Prices.NewlyKnown
		part.Prices.NewlyUnknown += theirs.Prices.NewlyUnknown
		theirGroups := groups(theirs)
		for i, group := range groups(part) {
			group.Count += theirGroups[i].Count
			group.MonthlyCost += theirGroups[i].MonthlyCost
			group.Examples = t.keep(group.Examples, theirGroups[i].Examples...)
			for j, shares := range other.shares[theirGroups[i]] {
				for name, share := range shares {
					mine := t.shares[group][j][name]
					if mine == nil {
						mine = &Share{Name: name}
						t.shares[group][j][name] = mine
					}
					mine.Count += share.Count
					mine.MonthlyCost += share.MonthlyCost
				}
			}
		}
	}
}

func (t *tally) report() *ReplayReport {
	for _, part := range t.parts {
		for _, group := range groups(part) {
			shares := t.shares[group]
			group.Rules, group.Teams, group.Environments = listed(shares[0]), listed(shares[1]), listed(shares[2])
			if group.Examples == nil {
				group.Examples = []Example{}
			}
		}
	}
	approvals := t.parts[provision.PastApproval]
	report := &ReplayReport{
		Approvals: Voided{approvals.Decided, approvals.NewlyDenied, approvals.NewlyNeedingApproval, approvals.NewlyAllowed},
		SelfCheck: t.self, History: *t.parts[provision.PastVerdict], Fleet: *t.parts[provision.PastInstance],
		Undecided: t.undecidedRest, Reasons: []Reason{},
	}
	if report.SelfCheck.Examples == nil {
		report.SelfCheck.Examples = []Example{}
	}
	for reason, count := range t.undecidedFor {
		report.Undecided += count
		report.Reasons = append(report.Reasons, Reason{reason, count})
	}
	slices.SortFunc(report.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Reason, b.Reason))
	})
	report.Reasons = report.Reasons[:min(len(report.Reasons), 10)]
	return report
}

// The standings of an ask, best first.
const (
	allowed = iota
	approvable
	denied
)
