package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsThreatModelNamesTestsThatExist keeps the threat model honest: each
// test or fuzz target that it names is there.
func TestDocsThreatModelNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository(t), "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	eachFile(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }, func(_, code string) {
		for _, match := range declared.FindAllStringSubmatch(code, -1) {
			there[match[1]] = true
		}
	})
	eachFile(t, func(name string) bool {
		return strings.HasPrefix(name, "policies/") && strings.HasSuffix(name, "_test.rego")
	}, func(_, code string) {
		for _, match := range regexp.MustCompile(`(?m)^(test_\w+) if`).FindAllStringSubmatch(code, -1) {
			there[match[1]] = true
		}
	})
	named := regexp.MustCompile("`((?:Test|Fuzz|test_)\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 25 {
		t.Fatalf("the threat model names %d tests; its form has changed", len(named))
	}
	for _, match := range named {
		if !there[match[1]] {
			t.Errorf("docs/threat-model.md names %s, which is no test; name the one that is there now", match[1])
		}
	}
}
