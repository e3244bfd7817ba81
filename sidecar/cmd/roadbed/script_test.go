package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"roadbed.dev/roadbed/sidecar/internal/worker"
)

func TestMain(m *testing.M) {
	if worker.IsShim(os.Args[0]) { // a run's Terraform is this program, too
		os.Exit(worker.ShimMain(os.Args))
	}
	testscript.Main(tests{m}, map[string]func(){"roadbed": func() {
		armSeams()
		main()
	}})
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
