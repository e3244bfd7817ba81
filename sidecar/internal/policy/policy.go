// Package policy turns the Rego bundle into findings and into answers about who
// may do what. OPA runs as a library: a bundle is compiled strictly and once,
// without built-ins that see anything but their arguments, and each question
// asks for the smallest document that answers it.
//
// It knows no offering, no price and no request: what a rule sees is the input
// it is given and the bundle's own data. It fails closed: whatever is absent,
// malformed or in error is an error or a no, never an allowance.
package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	_ provision.Rules      = (*Bundle)(nil)
	_ provision.Authorizer = (*Bundle)(nil)
	_ provision.Calendar   = (*Bundle)(nil)
)

// Findings are all that the guardrails say of input, in the order of Rules,
// and the digest of the bundle; nil when they say nothing. The document that
// the rules see is input's JSON. A rule that fails or says something malformed
// makes it an Internal error, after which nothing may be allowed.
func (b *Bundle) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	document, err := ruleInput(input)
	if err != nil {
		return nil, "", fmt.Errorf("read guardrail input for %s: %w", input.Name, err)
	}
	return b.judge(ctx, document)
}

// FindingsJSON is Findings for an input that is JSON already, such as one that
// was stored with its verdict: the same bundle gives the same answer. One that
// lacks what the rules build upon is an Internal error.
func (b *Bundle) FindingsJSON(ctx context.Context, document []byte) ([]provision.Finding, string, error) {
	input, err := ast.ValueFromReader(bytes.NewReader(document))
	if err != nil {
		return nil, "", fmt.Errorf("read guardrail input: %w", err)
	}
	for _, path := range required {
		if _, err := input.Find(path[1:]); err != nil {
			return nil, "", fmt.Errorf("read guardrail input: it has no %s", path)
		}
	}
	return b.judge(ctx, input)
}

// Allowance is the cost limit that applies to input, from data.roadbed.lib.allowance;
// nil when the price is unknown or the bundle names no limit. A limit that is
// no whole number of mills is an Internal error.
func (b *Bundle) Allowance(ctx context.Context, input provision.RuleInput) (*provision.Allowance, error) {
	if !input.Price.Known {
		return nil, nil
	}
	document, err := ruleInput(input)
	if err != nil {
		return nil, fmt.Errorf("read guardrail input for %s: %w", input.Name, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results, err := b.allowance.Eval(ctx, rego.EvalParsedInput(document))
	if err != nil {
		return nil, fmt.Errorf("evaluate allowance: %w", err)
	}
	if len(results) == 0 {
		return nil, nil
	}
	said, _ := results[0].Expressions[0].Value.(map[string]any)
	number, isNumber := said["limit_mills"].(json.Number)
	scope, isText := said["scope"].(string)
	if !isNumber && !isText {
		return nil, nil
	}
	mills, err := number.Int64()
	if err != nil || !isText {
		return nil, fmt.Errorf("evaluate allowance: limit_mills is %v and scope %v; they must be a whole number and a text", said["limit_mills"], said["scope"])
	}
	limit := provision.Money(mills)
	rule, _ := said["rule"].(string)
	return &provision.Allowance{Limit: limit, Left: limit - input.Price.MonthlyMills, Scope: scope, Rule: rule}, nil
}

// required are the paths in an input without which a rule would be undefined,
// and so silent.
var required = []ast.Ref{
	ast.MustParseRef("input.stage"), ast.MustParseRef("input.action"), ast.MustParseRef("input.name"),
	ast.MustParseRef("input.offering.category"), ast.MustParseRef("input.environment.name"),
	ast.MustParseRef("input.parameters"), ast.MustParseRef("input.price.known"),
}

func (b *Bundle) judge(ctx context.Context, input ast.Value) ([]provision.Finding, string, error) {
	value, err := evaluate(ctx, b.findings, input)
	if err != nil {
		return nil, "", fmt.Errorf("evaluate guardrails: %w", err)
	}
	said, isList := value.([]any)
	if !isList {
		return nil, "", fmt.Errorf("evaluate guardrails: findings are a %T, not a set", value)
	}
	var findings []provision.Finding
	for _, one := range said {
		finding, err := b.finding(one)
		if err != nil {
			return nil, "", err
		}
		findings = append(findings, finding)
	}
	slices.SortFunc(findings, func(x, y provision.Finding) int {
		if d := b.rank[x.Rule] - b.rank[y.Rule]; d != 0 {
			return d
		}
		return strings.Compare(x.Address+"\x00"+x.Path+"\x00"+x.Message, y.Address+"\x00"+y.Path+"\x00"+y.Message)
	})
	return findings, b.digest, nil
}

// finding reads one finding: five strings, by a known rule and at a known level,
// and where a plan has it; one that requires approval also says whose and of how many.
func (b *Bundle) finding(value any) (provision.Finding, error) {
	object, isObject := value.(map[string]any)
	if !isObject {
		return provision.Finding{}, fmt.Errorf("a guardrail's finding is a %T, not an object", value)
	}
	var f provision.Finding
	var level string
	fields := map[string]*string{
		"rule": &f.Rule, "level": &level, "message": &f.Message, "path": &f.Path, "way_out": &f.WayOut,
	}
	for key, field := range fields {
		text, isString := object[key].(string)
		if !isString {
			return provision.Finding{}, fmt.Errorf(`a finding of rule %v has no text for %s; each has rule, level, message, path and way_out, the last two "" when there is nothing to say`, object["rule"], key)
		}
		*field = text
	}
	f.Level = provision.Level(level)
	known := len(fields)
	for key, field := range map[string]*string{"address": &f.Address, "attribute": &f.Attribute, "source": &f.Source} {
		if value, has := object[key]; has {
			text, isString := value.(string)
			if !isString {
				return provision.Finding{}, fmt.Errorf("a finding of rule %s has %s that is no text", f.Rule, key)
			}
			*field = text
			known++
		}
	}
	if f.Level == provision.LevelRequireApproval {
		var err error
		if f.Approvers, f.Count, err = approversOf(object); err != nil {
			return provision.Finding{}, fmt.Errorf("a finding of rule %s requires approval: %w", f.Rule, err)
		}
		known += 2
	}
	if granted, isExempt := object["exemption"]; isExempt {
		var err error
		if f.Exemption, err = exemptedOf(granted); err != nil {
			return provision.Finding{}, fmt.Errorf("a finding of rule %s: %w", f.Rule, err)
		}
		known++
	}
	_, ranked := b.rank[f.Rule]
	switch {
	case len(object) != known:
		return provision.Finding{}, fmt.Errorf("a finding of rule %s has fields other than rule, level, message, path, way_out, address, attribute and source", f.Rule)
	case !ranked:
		return provision.Finding{}, fmt.Errorf("a finding names rule %q, which is not a guardrail", f.Rule)
	case f.Message == "":
		return provision.Finding{}, fmt.Errorf("a finding of rule %s has no message", f.Rule)
	}
	switch f.Level {
	case provision.LevelDeny, provision.LevelRequireApproval, provision.LevelWarn, provision.LevelInfo:
		return f, nil
	}
	return provision.Finding{}, fmt.Errorf("a finding of rule %s has level %q; it must be deny, require_approval, warn or info", f.Rule, level)
}

// exemptedOf reads what an exemption says in the finding that it lifts.
func exemptedOf(value any) (*provision.Exempted, error) {
	object, _ := value.(map[string]any)
	var e provision.Exempted
	for key, field := range map[string]*string{"until": &e.Until, "granted_by": &e.GrantedBy, "reason": &e.Reason} {
		text, isString := object[key].(string)
		if !isString || len(object) != 3 {
			return nil, errors.New("its exemption must have until, granted_by and reason, which are texts")
		}
		*field = text
	}
	return &e, nil
}

// approversOf are the groups whose members lift a finding, and how many of them
// must: what nobody could lift is an error, not an allowance.
func approversOf(object map[string]any) (groups []string, count int, err error) {
	list, isList := object["approvers"].([]any)
	number, isNumber := object["count"].(json.Number)
	if !isList || len(list) == 0 || !isNumber {
		return nil, 0, errors.New("it must name approvers, a list of groups, and count")
	}
	for _, one := range list {
		group, isString := one.(string)
		if !isString || !groupRef.MatchString(group) {
			return nil, 0, fmt.Errorf("its approver %v is no group; write it as group:default/platform-team", one)
		}
		groups = append(groups, group)
	}
	n, err := number.Int64()
	if err != nil || n < 1 || n > 20 {
		return nil, 0, fmt.Errorf("its count is %s; it must be from 1 to 20", number)
	}
	return groups, int(n), nil
}

// groupRef is a group as Backstage writes it in full.
var groupRef = regexp.MustCompile(`^group:[a-z0-9._-]+/[A-Za-z0-9._-]+$`)

// Allow is nil when a may be done, and otherwise a Denied error that says who
// may. When the rules cannot be asked it is an Internal error, which is a no.
func (b *Bundle) Allow(ctx context.Context, a provision.Access) error {
	input := accessInput(a)
	value, err := evaluate(ctx, b.allow, input)
	if err != nil {
		return fmt.Errorf("authorise %s to %s: %w", a.Principal.Subject, a.Verb, err)
	}
	if allowed, isBool := value.(bool); isBool && allowed {
		return nil
	}
	value, err = evaluate(ctx, b.reason, input)
	if err != nil {
		return fmt.Errorf("say why %s may not %s: %w", a.Principal.Subject, a.Verb, err)
	}
	reason, isString := value.(string)
	if !isString || reason == "" {
		reason = fmt.Sprintf("%s may not do this (%s)", a.Principal.Subject, a.Verb)
	}
	return &provision.Error{Kind: provision.Denied, Message: reason}
}

func accessInput(a provision.Access) ast.Value {
	groups := make([]*ast.Term, len(a.Principal.Groups))
	for i, group := range a.Principal.Groups {
		groups[i] = ast.StringTerm(group)
	}
	input := ast.NewObject(
		[2]*ast.Term{ast.StringTerm("subject"), ast.StringTerm(a.Principal.Subject)},
		[2]*ast.Term{ast.StringTerm("groups"), ast.ArrayTerm(groups...)},
		[2]*ast.Term{ast.StringTerm("actor"), ast.StringTerm(a.Principal.Actor)},
		[2]*ast.Term{ast.StringTerm("verb"), ast.StringTerm(string(a.Verb))},
		[2]*ast.Term{ast.StringTerm("owner"), ast.StringTerm(a.Owner)},
		[2]*ast.Term{ast.StringTerm("environment"), ast.StringTerm(a.Environment)},
	)
	if ci := a.Principal.CI; ci != nil {
		input.Insert(ast.StringTerm("ci"), ciInput(*ci))
	}
	return input
}

func ciInput(ci provision.CI) *ast.Term {
	asking := ast.NewObject(
		[2]*ast.Term{ast.StringTerm("repository"), ast.StringTerm(ci.Repository)},
		[2]*ast.Term{ast.StringTerm("pull_request"), ast.IntNumberTerm(ci.PullRequest)},
		[2]*ast.Term{ast.StringTerm("owner"), ast.StringTerm(ci.Owner)},
		[2]*ast.Term{ast.StringTerm("action"), ast.StringTerm(string(ci.Action))},
	)
	if pull := ci.Preview; pull != nil {
		asking.Insert(ast.StringTerm("preview"), ast.ObjectTerm(
			[2]*ast.Term{ast.StringTerm("repository"), ast.StringTerm(pull.Repository)},
			[2]*ast.Term{ast.StringTerm("pull_request"), ast.IntNumberTerm(pull.Number)},
			[2]*ast.Term{ast.StringTerm("base"), ast.StringTerm(pull.Base)},
		))
	}
	return ast.NewTerm(asking)
}

// evaluate is the one value of a query; an undefined one is an error.
func evaluate(ctx context.Context, query rego.PreparedEvalQuery, input ast.Value) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // a short query would end before it notices
	}
	results, err := query.Eval(ctx, rego.EvalParsedInput(input))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case len(results) != 1 || len(results[0].Expressions) != 1:
		return nil, errors.New("the rules gave no answer")
	}
	return results[0].Expressions[0].Value, nil
}
