package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const rooms = "roadbed.dev/roadbed/sidecar/internal/"

// wraps are the rooms that wrap one outside thing each; they may know the
// domain and never each other.
var wraps = []string{"offering", "policy", "cost", "postgres", "queue", "terraform", "backstage", "keys", "notify", "activity", "telemetry", "bucket", "tagged"}

// allowed lists, for each room, the rooms that it may import beside provision.
var allowed = map[string][]string{
	"worker":  {"terraform", "keys", "offering"},
	"httpapi": {},
	"control": {},
	"client":  {},
	"devenv":  {},
	"testkit": {"devenv", "postgres", "queue"},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", rooms+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		packages = append(packages, p)
	}
}

func TestDependenciesRunOneWay(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < len(wraps)+len(allowed) {
		t.Fatalf("go list found %d packages; the rooms have moved", len(packages))
	}
	for _, p := range packages {
		room := strings.TrimPrefix(p.ImportPath, rooms)
		for _, imported := range p.Imports {
			other, internal := strings.CutPrefix(imported, rooms)
			switch {
			case !internal:
			case room == "provision":
				t.Errorf("provision imports %s; the domain knows nobody", other)
			case other == "provision":
			case slices.Contains(wraps, room):
				t.Errorf("%s imports %s; it may know provision alone", room, other)
			case !slices.Contains(allowed[room], other):
				t.Errorf("%s imports %s; declare the small interface it needs instead", room, other)
			}
		}
	}
}
