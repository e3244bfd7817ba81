package policy_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// tree is the built-in bundle as files that a test may change.
func tree(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(policies.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(policies.FS, name)
		files[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func file(lines ...string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(strings.Join(lines, "\n") + "\n")}
}

// extra is a guardrail called extra with these lines as its rules.
func extra(lines ...string) *fstest.MapFile {
	return file(append([]string{"package roadbed.guardrails.extra", ""}, lines...)...)
}

func replace(files fstest.MapFS, name, old, new string) {
	text := string(files[name].Data)
	if !strings.Contains(text, old) {
		panic(name + " does not hold " + old)
	}
	files[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, old, new))}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(fstest.MapFS)
		want   string
	}{
		"an empty bundle": {func(f fstest.MapFS) { clear(f) }, "data/prices.yaml is missing"},
		"a bundle without guardrails": {func(f fstest.MapFS) {
			for name := range f {
				if strings.HasPrefix(name, "guardrails/") {
					delete(f, name)
				}
			}
		}, "no guardrails"},
		"budgets without their guardrail": {func(f fstest.MapFS) { delete(f, "guardrails/budget.rego") }, "hold no guardrails/budget.rego"},
		"a guardrail without findings": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra("violations contains 1 if input.x")
		}, "has no rule `findings contains"},
		"a guardrail whose findings are no set": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra("findings := true if input.x")
		}, "findings must be a set"},
		"a guardrail in another package": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = file("package roadbed.guardrail.extra", "", "findings contains 1 if input.x")
		}, "its path says roadbed.guardrails.extra"},
		"a guardrail that reads absent data": {func(f fstest.MapFS) {
			replace(f, "data/limits.yaml", "cost_limit:", "cost_limits:")
		}, "data.limits.cost_limit"},
		"a guardrail that reads an absent rule": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra("findings contains 1 if data.roadbed.lib.absent.rule")
		}, "data.roadbed.lib.absent.rule, which no policy defines"},
		"no decision":       {func(f fstest.MapFS) { delete(f, "decision/decision.rego") }, "decision/decision.rego is missing"},
		"no authorisation":  {func(f fstest.MapFS) { delete(f, "authz/authz.rego") }, "data.roadbed.authz.allow"},
		"no price book":     {func(f fstest.MapFS) { delete(f, "data/prices.yaml") }, "data/prices.yaml"},
		"empty data":        {func(f fstest.MapFS) { f["data/limits.yaml"] = file("# nothing") }, "data/limits.yaml is empty"},
		"data that is torn": {func(f fstest.MapFS) { f["data/limits.yaml"] = file("a: {") }, "data/limits.yaml"},
		"data that names a thing twice": {func(f fstest.MapFS) {
			f["data/limits.yaml"] = file("cost_limit: 1", "cost_limit: 2")
		}, "already defined"},
		"data over the rules":      {func(f fstest.MapFS) { f["data/roadbed.yaml"] = file("guardrails: {}") }, "another name"},
		"Rego that does not parse": {func(f fstest.MapFS) { f["guardrails/extra.rego"] = extra("findings[") }, "guardrails/extra.rego"},
		"a variable that is not used": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra("findings contains 1 if { x := input.y }")
		}, "assigned var x unused"},
		"the network": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra(`findings contains 1 if http.send({"method": "get", "url": "http://x"}).body`)
		}, "http.send"},
		"name resolution": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra(`findings contains a if some a in net.lookup_ip_addr("x")`)
		}, "net.lookup_ip_addr"},
		"the clock":   {func(f fstest.MapFS) { f["guardrails/extra.rego"] = extra("findings contains time.now_ns()") }, "time.now_ns"},
		"chance":      {func(f fstest.MapFS) { f["guardrails/extra.rego"] = extra(`findings contains rand.intn("x", 9)`) }, "rand.intn"},
		"new ids":     {func(f fstest.MapFS) { f["guardrails/extra.rego"] = extra(`findings contains uuid.rfc4122("x")`) }, "uuid.rfc4122"},
		"the process": {func(f fstest.MapFS) { f["guardrails/extra.rego"] = extra("findings contains opa.runtime().env") }, "opa.runtime"},
		"a token's expiry": {func(f fstest.MapFS) {
			f["guardrails/extra.rego"] = extra(`findings contains io.jwt.decode_verify("x", {})`)
		}, "io.jwt.decode_verify"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t)
			tt.change(files)
			if _, err := policy.Load(files); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestAMalformedFindingStopsEverything(t *testing.T) {
	t.Parallel()
	const good = `{"rule": "extra", "level": "warn", "message": "m", "path": "", "way_out": ""}`
	tests := map[string]struct {
		finding string
		want    string // "" means it is well formed
	}{
		"well formed":             {good, ""},
		"no object":               {`"denied"`, "not an object"},
		"no level":                {`object.remove(` + good + `, ["level"])`, "no text for level"},
		"no rule":                 {`object.remove(` + good + `, ["rule"])`, "no text for rule"},
		"no way out":              {`object.remove(` + good + `, ["way_out"])`, "no text for way_out"},
		"a level that is unknown": {`object.union(` + good + `, {"level": "forbid"})`, `level "forbid"`},
		"an empty message":        {`object.union(` + good + `, {"message": ""})`, "no message"},
		"a message that is a set": {`object.union(` + good + `, {"message": {1}})`, "no text for message"},
		"a rule that is unknown":  {`object.union(` + good + `, {"rule": "other"})`, "not a guardrail"},
		"a field too many":        {`object.union(` + good + `, {"severity": "high"})`, "fields other than"},
		"a built-in that fails":   {`{"x": to_number(input.name)}`, "to_number"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t)
			files["guardrails/extra.rego"] = extra("findings contains finding if finding := " + tt.finding)
			bundle, err := policy.Load(files)
			if err != nil {
				t.Fatal(err)
			}
			findings, digest, err := bundle.Findings(t.Context(), postgres("dev", 85500))
			if tt.want == "" {
				if err != nil || len(findings) != 1 || findings[0].Rule != "extra" {
					t.Errorf("findings = %v, error = %v; want the one of extra", findings, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || provision.KindOf(err) != provision.Internal {
				t.Errorf("error = %v, want an internal one with %q", err, tt.want)
			}
			if findings != nil || digest != "" {
				t.Errorf("findings = %v, digest = %q beside an error", findings, digest)
			}
		})
	}
}

func TestAnIncompleteInputIsNoAnswer(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	tests := map[string]struct{ document, want string }{
		"nothing":           {`{}`, "it has no input.stage"},
		"no object":         {`[]`, "it has no input.stage"},
		"no environment":    {`{"stage":"submit","action":"create","name":"a","offering":{"category":"x"},"parameters":{},"price":{"known":true}}`, "it has no input.environment.name"},
		"torn":              {`{"stage":`, "unexpected EOF"},
		"nothing to read":   {``, "EOF"},
		"an empty document": {`null`, "it has no input.stage"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := bundle.FindingsJSON(t.Context(), []byte(tt.document)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestAuthorisationThatFailsIsANo(t *testing.T) {
	t.Parallel()
	files := tree(t)
	replace(files, "authz/authz.rego", "default allow := false", "default allow := false\n\nallow if to_number(input.subject) > 0")
	bundle, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	err = bundle.Allow(t.Context(), provision.Access{
		Principal: provision.Principal{Subject: "user:default/ann"}, Verb: provision.VerbFeed,
	})
	if err == nil || provision.KindOf(err) != provision.Internal {
		t.Errorf("error = %v, want an internal one", err)
	}
}

func TestTheDigestNamesTheBundle(t *testing.T) {
	t.Parallel()
	digest := func(change func(fstest.MapFS)) string {
		files := tree(t)
		change(files)
		bundle, err := policy.Load(files)
		if err != nil {
			t.Fatal(err)
		}
		return bundle.Digest()
	}
	same := load(t).Digest()
	if !strings.HasPrefix(same, "sha256:") || len(same) != len("sha256:")+64 {
		t.Errorf("digest = %q, want sha256: and 64 hex digits", same)
	}
	tests := map[string]struct {
		change func(fstest.MapFS)
		same   bool
	}{
		"nothing":  {func(fstest.MapFS) {}, true},
		"a test":   {func(f fstest.MapFS) { delete(f, "guardrails/multi_az_test.rego") }, true},
		"a readme": {func(f fstest.MapFS) { f["README.md"] = file("x") }, true},
		"a number": {func(f fstest.MapFS) { replace(f, "data/limits.yaml", "dev: 100,", "dev: 101,") }, false},
		"a price":  {func(f fstest.MapFS) { replace(f, "data/prices.yaml", "db.t3.small: 30", "db.t3.small: 31") }, false},
		"a rule":   {func(f fstest.MapFS) { replace(f, "guardrails/multi_az.rego", "high availability", "safety") }, false},
		"one more": {func(f fstest.MapFS) { f["guardrails/extra.rego"] = extra("findings contains input.x") }, false},
	}
	for name, tt := range tests {
		t.Run("a change of "+name, func(t *testing.T) {
			t.Parallel()
			if got := digest(tt.change); (got == same) != tt.same {
				t.Errorf("digest = %s beside %s, want the same: %t", got, same, tt.same)
			}
		})
	}
}

func TestAnApprovalSaysWhoseAndOfHowMany(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		approvers string
		want      string // what the error must say; "" for a good one
	}{
		"one of a group":      {"{groups: [group:default/platform-team], count: 1}", ""},
		"two of two groups":   {"{groups: [group:default/finance, group:default/platform-team], count: 2}", ""},
		"of nobody":           {"{groups: [], count: 1}", "must name approvers"},
		"of a person":         {"{groups: [user:default/pat], count: 1}", "is no group"},
		"of no number":        {"{groups: [group:default/platform-team], count: many}", "must name approvers"},
		"of none of them":     {"{groups: [group:default/platform-team], count: 0}", "from 1 to 20"},
		"of a part of one":    {"{groups: [group:default/platform-team], count: 1.5}", "from 1 to 20"},
		"of a group by title": {"{groups: [platform-team], count: 1}", "is no group"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t)
			replace(files, "data/limits.yaml", "level: deny", "level: require_approval")
			replace(files, "data/limits.yaml", "approvers: {groups: [group:default/platform-team], count: 1}", "approvers: "+tt.approvers)
			bundle, err := policy.Load(files)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := bundle.Findings(t.Context(), postgres("dev", 171000))
			switch {
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error = %v, want one with %q: what nobody could lift is no allowance", err, tt.want)
			case tt.want == "" && (err != nil || len(got) != 1 || got[0].Level != provision.LevelRequireApproval || len(got[0].Approvers) == 0 || got[0].Count == 0):
				t.Errorf("findings = %+v, %v, want one that requires approval by somebody", got, err)
			}
		})
	}
}

func TestLintNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(fstest.MapFS)
		want   string
	}{
		"formatting": {func(f fstest.MapFS) {
			replace(f, "guardrails/multi_az.rego", "\tmulti_az != true", "  multi_az  !=  true")
		},
			"guardrails/multi_az.rego: is not formatted"},
		"metadata": {func(f fstest.MapFS) { replace(f, "guardrails/multi_az.rego", "# METADATA", "# About") },
			"guardrails/multi_az.rego: lacks METADATA"},
		"a test": {func(f fstest.MapFS) { delete(f, "guardrails/multi_az_test.rego") },
			"guardrails/multi_az.rego: has no multi_az_test.rego"},
		"a case": {func(f fstest.MapFS) {
			replace(f, "guardrails/multi_az_test.rego", "test_exactly_at_", "test_at_")
		}, "guardrails/multi_az_test.rego: has no test whose name starts with test_exactly_at_"},
		"its own page": {func(f fstest.MapFS) { replace(f, "guardrails/multi_az.rego", "policies.md#multi_az", "policies.md#ha") },
			"guardrails/multi_az.rego: documents itself at docs/policies.md#ha"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t)
			tt.change(files)
			faults, err := policy.Lint(files)
			if err != nil {
				t.Fatal(err)
			}
			if len(faults) != 1 || !strings.HasPrefix(faults[0], tt.want) {
				t.Errorf("faults = %q, want one that starts with %q", faults, tt.want)
			}
		})
	}
}

func TestLintNamesEveryFaultOfARuleAtOnce(t *testing.T) {
	t.Parallel()
	files := tree(t)
	files["guardrails/extra.rego"] = &fstest.MapFile{Data: []byte("package roadbed.guardrails.extra\n\nfindings contains input.x if  input.y == 1\n")}
	faults, err := policy.Lint(files)
	want := []string{
		"guardrails/extra.rego: is not formatted; run `roadbed policy format`",
		"guardrails/extra.rego: lacks METADATA with scope package: title, description and related_resources",
		"guardrails/extra.rego: has no extra_test.rego beside it",
	}
	if err != nil || !slices.Equal(faults, want) {
		t.Errorf("faults = %q, %v, want %q", faults, err, want)
	}
}

func TestARuleMayBeDocumentedElsewhere(t *testing.T) {
	t.Parallel()
	files := tree(t)
	replace(files, "guardrails/multi_az.rego", "docs/policies.md#multi_az", "https://wiki.example.com/rules/multi-az")
	if faults, err := policy.Lint(files); err != nil || len(faults) > 0 {
		t.Errorf("faults = %q, %v, want none", faults, err)
	}
}

func TestARegoTestThatFailsIsReported(t *testing.T) {
	t.Parallel()
	files := tree(t)
	replace(files, "data/limits.yaml", "dev: 100,", "dev: 99,")
	files["guardrails/extra.rego"] = extra("findings contains input.unreached if input.y == 1")
	report, err := policy.RunTests(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]bool{}
	for _, result := range report.Results {
		if !result.Passed {
			failed[result.Name] = true
		}
	}
	if want := "roadbed.guardrails.cost_limit_test.test_exactly_at_the_limit_is_allowed"; !failed[want] {
		t.Errorf("failed = %v, want %s among them", failed, want)
	}
	if report.Coverage >= 100 {
		t.Errorf("coverage = %v with a rule that no test reaches, want less than 100", report.Coverage)
	}
}
