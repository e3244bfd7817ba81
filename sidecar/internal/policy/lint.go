package policy

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/format"
)

// cases are the four that every guardrail's tests name.
var cases = []string{"test_inside_", "test_exactly_at_", "test_outside_", "test_lifted_"}

// Lint is everything about the bundle in fsys that breaks the house rules, in
// the order of the files; empty when nothing does. Each is a sentence that
// starts with the file's path. The error is for a bundle that Load refuses.
func Lint(fsys fs.FS) ([]string, error) {
	if _, err := Load(fsys); err != nil {
		return nil, err
	}
	src, err := readSource(fsys)
	if err != nil {
		return nil, err
	}
	names := src.paths(func(name string) bool { return path.Ext(name) == ".rego" })
	modules, err := src.parse(names)
	if err != nil {
		return nil, err
	}
	var faults []string
	add := func(name, text string, args ...any) {
		faults = append(faults, name+": "+fmt.Sprintf(text, args...))
	}
	for _, name := range names {
		formatted, err := format.Source(name, src.files[name])
		if err != nil {
			return nil, fmt.Errorf("format policy %s: %w", name, err)
		}
		if !bytes.Equal(formatted, src.files[name]) {
			add(name, "is not formatted; run `opa fmt -w`")
		}
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		about := packageMetadata(modules[name])
		if about == nil || about.Title == "" || about.Description == "" || len(about.RelatedResources) == 0 {
			add(name, "lacks METADATA with scope package: title, description and related_resources")
			continue
		}
		test := strings.TrimSuffix(name, ".rego") + "_test.rego"
		if modules[test] == nil {
			add(name, "has no %s beside it", path.Base(test))
			continue
		}
		if !isRule(name) {
			continue
		}
		rule := strings.TrimSuffix(path.Base(name), ".rego")
		if got, want := about.RelatedResources[0].Ref.String(), "docs/policies.md#"+rule; got != want {
			add(name, "documents itself at %s, not at %s", got, want)
		}
		for _, prefix := range cases {
			if !bytes.Contains(src.files[test], []byte("\n"+prefix)) {
				add(test, "has no test whose name starts with %s", prefix)
			}
		}
	}
	return faults, nil
}
