package policy

import (
	"context"
	"iter"
	"slices"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FiringsReport is which rules spoke in the past.
type FiringsReport struct {
	Decided   int64    `json:"decided"`
	Undecided int64    `json:"undecided"` // what the rules saw was not stored, or cannot be read
	Rules     []Firing `json:"rules"`     // every guardrail, in the order of Rules
}

// Firing is how often one rule spoke.
type Firing struct {
	Rule    string `json:"rule"`
	Fired   int64  `json:"fired"`   // verdicts in which it said anything
	Stopped int64  `json:"stopped"` // those in which it denied, or asked for an approval
	// ShadowedBy is a rule that stopped every ask that this one stopped, at least
	// as hard, so that without this one the same would have been stopped; "" when
	// there is none or this one stopped nothing.
	ShadowedBy string `json:"shadowed_by,omitempty"`
}

// Firings counts in which of the past's verdicts each guardrail of the bundle
// spoke. What the very bundle said is taken as it is stored; what others said is
// decided again. It blocks until past ends, whose error it returns, or ctx does.
func (b *Bundle) Firings(ctx context.Context, past iter.Seq2[provision.Past, error]) (*FiringsReport, error) {
	report := &FiringsReport{}
	count := map[string]*Firing{}
	for _, rule := range b.rules {
		count[rule.Name] = &Firing{Rule: rule.Name}
	}
	together := map[[2]string]int64{} // how often the second stopped at least as hard where the first stopped
	for entry, err := range past {
		if err != nil {
			return nil, err
		}
		if entry.Kind != provision.PastVerdict {
			continue
		}
		findings := entry.Findings
		if entry.BundleDigest != b.digest {
			if findings, _, err = b.FindingsJSON(ctx, entry.Input); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				report.Undecided++
				continue
			}
		}
		report.Decided++
		hardest := map[string]int{}
		for _, f := range findings {
			hardest[f.Rule] = max(hardest[f.Rule], hardness(f.Level))
		}
		for rule, hard := range hardest {
			if count[rule] == nil {
				continue
			}
			count[rule].Fired++
			if hard < hardness(provision.LevelRequireApproval) {
				continue
			}
			count[rule].Stopped++
			for other, otherHard := range hardest {
				if other != rule && otherHard >= hard {
					together[[2]string{rule, other}]++
				}
			}
		}
	}
	for _, rule := range b.rules {
		firing := *count[rule.Name]
		i := slices.IndexFunc(b.rules, func(other Rule) bool {
			return firing.Stopped > 0 && together[[2]string{rule.Name, other.Name}] == firing.Stopped
		})
		if i >= 0 {
			firing.ShadowedBy = b.rules[i].Name
		}
		report.Rules = append(report.Rules, firing)
	}
	return report, nil
}

func hardness(level provision.Level) int {
	switch level {
	case provision.LevelDeny:
		return 4
	case provision.LevelRequireApproval:
		return 3
	case provision.LevelWarn:
		return 2
	default:
		return 1
	}
}
