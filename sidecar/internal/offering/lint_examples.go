package offering

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Example is a request with the verdict that it must get: documentation that
// is tested.
type Example struct {
	Title   string
	As      provision.Principal
	Request provision.Parameters
	Outcome provision.Outcome
	Cost    provision.Money
	Rules   []string // those that find something, in any order
}

// example is one as it is written.
type example struct {
	Title   string `yaml:"title"`
	Request struct {
		Parameters map[string]any `yaml:"parameters"`
	} `yaml:"request"`
	As struct {
		Subject string   `yaml:"subject"`
		Groups  []string `yaml:"groups"`
	} `yaml:"as"`
	Expect struct {
		Outcome     string   `yaml:"outcome"`
		MonthlyCost dollars  `yaml:"monthly_cost"`
		Rules       []string `yaml:"rules"`
	} `yaml:"expect"`
}

// Examples are the examples of the folder id by their file's name, and what is
// wrong with those that cannot be read.
func Examples(fsys fs.FS, id string) (map[string]Example, []Problem) {
	files, err := fs.Glob(fsys, path.Join(id, "examples", "*.yaml"))
	if err != nil {
		return nil, []Problem{{File: path.Join(id, "examples"), Message: err.Error()}}
	}
	examples := map[string]Example{}
	var problems []Problem
	for _, file := range files {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			problems = append(problems, Problem{File: file, Message: err.Error()})
			continue
		}
		var e example
		_, faults := decode(text, &e)
		if len(faults) == 0 && strings.TrimSpace(e.Title) == "" {
			faults = []Problem{{Line: 1, Message: "the example has no title", WayOut: "say in a sentence what it shows"}}
		}
		inFile(file, faults)
		if problems = append(problems, faults...); len(faults) > 0 {
			continue
		}
		parameters := provision.Parameters{}
		for name, value := range e.Request.Parameters {
			parameters[name] = plain(value)
		}
		examples[strings.TrimSuffix(path.Base(file), ".yaml")] = Example{
			Title: e.Title, Request: parameters, As: provision.Principal{Subject: e.As.Subject, Groups: e.As.Groups},
			Outcome: provision.Outcome(e.Expect.Outcome), Cost: provision.Money(e.Expect.MonthlyCost), Rules: e.Expect.Rules,
		}
	}
	return examples, problems
}

// examples must be there, be valid, and get the verdict that they state.
func (l *linter) examples() {
	o := l.loaded.Offering
	examples, problems := Examples(l.fsys, o.ID)
	l.problems = append(l.problems, problems...)
	if len(examples) == 0 && len(problems) == 0 {
		l.at("examples", 0, "add one that is allowed and one that is denied", "there are no examples")
	}
	validator, err := newValidator(o)
	if err != nil {
		return // the presets have said so
	}
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		example, file := examples[name], path.Join("examples", name+".yaml")
		final, err := validator.check(example.Request)
		if err != nil {
			l.at(file, 0, "mend its parameters", "the example is not valid: "+err.Error())
			continue
		}
		if l.deps.Judge == nil {
			continue
		}
		verdict, err := l.deps.Judge.Judge(l.ctx, ask(o, final, example.As))
		if err != nil {
			l.at(file, 0, "mend the policy", "the example cannot be judged: "+err.Error())
			continue
		}
		if difference := differs(example, verdict); difference != "" {
			l.at(file, 0, "change the example, or the policy or price that changed it", difference)
		}
	}
}

// differs says how a verdict is not the one stated, "" when it is.
func differs(want Example, got provision.Verdict) string {
	var differences []string
	if got.Outcome != want.Outcome {
		differences = append(differences, fmt.Sprintf("the outcome is %s, not %s", got.Outcome, want.Outcome))
	}
	if got.MonthlyCost() != want.Cost {
		differences = append(differences, fmt.Sprintf("it costs %s, not %s", got.MonthlyCost().Decimal(), want.Cost.Decimal()))
	}
	var rules []string
	for _, f := range got.Findings {
		rules = append(rules, f.Rule)
	}
	slices.Sort(rules)
	stated := slices.Sorted(slices.Values(want.Rules))
	if !slices.Equal(rules, stated) {
		differences = append(differences, fmt.Sprintf("the rules that find something are [%s], not [%s]", strings.Join(rules, ", "), strings.Join(stated, ", ")))
	}
	return strings.Join(differences, "; ")
}
