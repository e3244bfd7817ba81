package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"roadbed.dev/roadbed/sidecar/internal/worker"
)

func TestMain(m *testing.M) {
	if worker.IsShim(os.Args[0]) { // a run's Terraform is this program, too
		os.Exit(worker.ShimMain(os.Args))
	}
	testscript.Main(tests{m}, map[string]func(){"roadbed": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// repository is the root of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

var console = regexp.MustCompile("(?s)```console\n\\$ (roadbed [^\n]*)\n(.*?)```")

// TestREADME runs every console block of the README; what it prints there must
// be what is printed.
func TestREADME(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := console.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatalf("the README has %d console blocks; the test has lost them", len(blocks))
	}
	for _, block := range blocks {
		args := strings.Fields(block[1])[1:]
		var out, errOut strings.Builder
		code := run(context.Background(), args, &out, &errOut)
		if want := strings.TrimSpace(block[2]); want != "" && strings.TrimSpace(out.String()) != want {
			t.Errorf("%s printed\n%s\nthe README says\n%s", block[1], out.String(), want)
		}
		denied := strings.Contains(block[1], "multi_az=true")
		if denied && code != exitDenied || !denied && code != exitOK {
			t.Errorf("%s exited %d: %s%s", block[1], code, out.String(), errOut.String())
		}
	}
}

// TestREADMEMakeTargets asks make whether each target that the README and
// CONTRIBUTING name exists.
func TestREADMEMakeTargets(t *testing.T) {
	for _, file := range []string{"README.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(filepath.Join(repository(t), file))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+)").FindAllStringSubmatch(string(text), -1) {
			cmd := exec.Command("make", "--dry-run", "--always-make", match[1])
			cmd.Dir = repository(t)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s says `make %s`: %v\n%s", file, match[1], err, out)
			}
		}
	}
}
