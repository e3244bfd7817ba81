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
	unformatted, err := src.unformatted()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if unformatted[name] != nil {
			add(name, "is not formatted; run `roadbed policy format`")
		}
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		about := packageMetadata(modules[name])
		documented := about != nil && about.Title != "" && about.Description != "" && len(about.RelatedResources) > 0
		if !documented {
			add(name, "lacks METADATA with scope package: title, description and related_resources")
		}
		test := strings.TrimSuffix(name, ".rego") + "_test.rego"
		if modules[test] == nil {
			add(name, "has no %s beside it", path.Base(test))
		}
		if !isRule(name) {
			continue
		}
		if documented {
			rule := strings.TrimSuffix(path.Base(name), ".rego")
			if got, want := about.RelatedResources[0].Ref.String(), "docs/policies.md#"+rule; got != want && !strings.HasPrefix(got, "https://") {
				add(name, "documents itself at %s, not at %s or an https address", got, want)
			}
		}
		for _, prefix := range cases {
			if modules[test] != nil && !bytes.Contains(src.files[test], []byte("\n"+prefix)) {
				add(test, "has no test whose name starts with %s", prefix)
			}
		}
	}
	return faults, nil
}

// Unformatted is every Rego file of the bundle in fsys that is not written as
// `opa fmt` writes it, by its path, as it should be; empty when all are. The
// error is for a file that does not parse.
func Unformatted(fsys fs.FS) (map[string][]byte, error) {
	src, err := readSource(fsys)
	if err != nil {
		return nil, err
	}
	return src.unformatted()
}

func (src source) unformatted() (map[string][]byte, error) {
	written := map[string][]byte{}
	for _, name := range src.paths(func(name string) bool { return path.Ext(name) == ".rego" }) {
		formatted, err := format.Source(name, src.files[name])
		if err != nil {
			return nil, fmt.Errorf("format policy %s: %w", name, err)
		}
		if !bytes.Equal(formatted, src.files[name]) {
			written[name] = formatted
		}
	}
	return written, nil
}
