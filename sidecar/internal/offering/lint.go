package offering

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Judge answers an ask, as provision.Judge does.
type Judge interface {
	Judge(ctx context.Context, ask provision.Ask) (provision.Verdict, error)
}

// LintDeps is what Lint needs of prices and policies. A nil one leaves its
// checks out.
type LintDeps struct {
	Prices Prices
	Judge  Judge
}

// Lint finds what disagrees in the folder id: the contract with itself, the
// modules, the form, the prices, the presets and the examples. It is empty
// when all is well and sorted by place otherwise. It changes nothing.
func Lint(ctx context.Context, fsys fs.FS, id string, deps LintDeps) []Problem {
	files, err := readFiles(fsys, id)
	if err != nil {
		return []Problem{{File: path.Join(id, contractFile), Message: "it cannot be read: " + err.Error(), WayOut: "add it"}}
	}
	loaded, _, problems := parse(id, files)
	if len(problems) > 0 {
		return problems
	}
	l := &linter{ctx: ctx, fsys: fsys, deps: deps, loaded: &loaded, checker: checker{root: loaded.root}}
	l.prices()
	l.presets()
	l.labels()
	l.taken()
	l.modules()
	inFile(path.Join(id, contractFile), l.problems)
	l.form()
	l.readme()
	l.examples()
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return l.problems
}

// LintAll lints every folder that holds an offering.yaml.
func LintAll(ctx context.Context, fsys fs.FS, deps LintDeps) []Problem {
	contracts, err := fs.Glob(fsys, "*/"+contractFile)
	if err != nil || len(contracts) == 0 {
		return []Problem{{File: ".", Message: "there are no offerings here", WayOut: "add a folder with an " + contractFile}}
	}
	var problems []Problem
	for _, contract := range contracts {
		problems = append(problems, Lint(ctx, fsys, path.Dir(contract), deps)...)
	}
	return problems
}

type linter struct {
	checker
	ctx    context.Context
	fsys   fs.FS
	deps   LintDeps
	loaded *Loaded
}

func (l *linter) at(file string, line int, wayOut, message string) {
	l.problems = append(l.problems, Problem{File: path.Join(l.loaded.Offering.ID, file), Line: line, Message: message, WayOut: wayOut})
}

func (l *linter) prices() {
	if l.deps.Prices != nil {
		l.problems = append(l.problems, checkPrices(l.loaded, l.deps.Prices)...)
	}
}

// presets must fit the schema, and each must be allowed in some environment.
func (l *linter) presets() {
	o := l.loaded.Offering
	validator, err := newValidator(withoutRequired(o))
	if err != nil {
		l.add([]any{"parameters"}, "mend the patterns", "the parameters make no valid schema: %v", err)
		return
	}
	for i, preset := range o.Presets {
		final, err := validator.check(preset.Parameters)
		if err != nil {
			l.add([]any{"presets", i}, "change the preset or the parameter", "the preset %s breaks the schema: %v", preset.Name, err)
			continue
		}
		if l.deps.Judge == nil {
			continue
		}
		environments, _ := o.Parameter(o.Roles.Environment)
		var reasons []string
		for _, environment := range values(environments) {
			// Only the preset is on trial, so the rest of the ask is beyond reproach.
			final[o.Roles.Environment] = environment
			final[o.Roles.Name], final[o.Roles.Owner], final[o.Roles.CostCenter] = "example", "example", "CC-1"
			verdict, err := l.deps.Judge.Judge(l.ctx, ask(o, final, provision.Principal{}))
			if err != nil {
				reasons = append(reasons, environment+": "+err.Error())
			} else if !verdict.Allowed() {
				reasons = append(reasons, environment+": "+verdict.Findings[0].Message)
			} else {
				reasons = nil
				break
			}
		}
		if len(reasons) > 0 {
			l.add([]any{"presets", i}, "make it smaller or raise the limit", "the preset %s is allowed nowhere without approval: %s", preset.Name, strings.Join(reasons, "; "))
		}
	}
}

// ask is a create as the rules would see it.
func ask(o provision.Offering, final provision.Parameters, who provision.Principal) provision.Ask {
	owner := final.Text(o.Roles.Owner)
	if owner != "" {
		owner = "group:default/" + owner
	}
	return provision.Ask{
		Stage: provision.StageForm, Action: provision.Create, Principal: who, Offering: o,
		Environment: provision.Environment{Name: final.Text(o.Roles.Environment)},
		Name:        final.Text(o.Roles.Name), Owner: owner, CostCenter: final.Text(o.Roles.CostCenter), Parameters: final,
	}
}

var labelPrice = regexp.MustCompile(`\$([0-9][0-9,]*(?:\.[0-9]{1,3})?) ?(?:/|a |per )month`)

// labels may name a price; then it must be the option's.
func (l *linter) labels() {
	for i, p := range l.loaded.Offering.Parameters {
		for j, option := range p.Options {
			m := labelPrice.FindStringSubmatch(option.Label)
			if m == nil || option.MonthlyCost == nil {
				continue
			}
			if price, err := provision.ParseMoney(strings.ReplaceAll(m[1], ",", "")); err != nil || price != *option.MonthlyCost {
				l.add([]any{"parameters", i, "options", j}, "make them agree", "the label of %s says $%s, its monthly_cost is %s", option.Value, m[1], option.MonthlyCost)
			}
		}
	}
}

// form must be what the contract makes, and be listed.
func (l *linter) form() {
	o := l.loaded.Offering
	want, err := Template(o)
	if err != nil {
		l.at("template.yaml", 0, "", err.Error())
		return
	}
	got, err := fs.ReadFile(l.fsys, path.Join(o.ID, "template.yaml"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.at("template.yaml", 0, "run `make generate`", "the form is missing")
	case err != nil:
		l.at("template.yaml", 0, "", err.Error())
	case !bytes.Equal(want, got):
		l.at("template.yaml", firstDifference(want, got), "run `make generate`", "the form is stale: "+contractFile+" says otherwise")
	}
	var location struct {
		Spec struct {
			Targets []string `yaml:"targets"`
		} `yaml:"spec"`
	}
	target := "./" + o.ID + "/template.yaml"
	text, err := fs.ReadFile(l.fsys, "catalog.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &location)
	}
	if err != nil || !slices.Contains(location.Spec.Targets, target) {
		l.problems = append(l.problems, Problem{File: "catalog.yaml", Message: "the form of " + o.ID + " is not listed", WayOut: "add " + target + " to its targets"})
	}
}

func (l *linter) readme() {
	text, err := fs.ReadFile(l.fsys, path.Join(l.loaded.Offering.ID, "README.md"))
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		l.at("README.md", 0, "say whom it is for, what it makes and what it costs", "the page for the person choosing is missing")
	}
}

func firstDifference(a, b []byte) int {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return i + 1
		}
	}
	return min(len(x), len(y))
}
