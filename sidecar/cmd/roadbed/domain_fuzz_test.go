package main

import (
	"io/fs"
	"testing"
	"testing/fstest"

	environments "roadbed.dev/roadbed/deploy/environments"
)

// FuzzEnvironments reads any text as the file of an environment: what it gives
// has a name that fits subjects and the catalog, and says where it is.
func FuzzEnvironments(f *testing.F) {
	shipped, err := fs.ReadFile(environments.FS, "dev.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("dev", shipped)
	f.Add("eu.west", []byte("name: eu.west\nimplementation: aws\npool: aws\n"))
	f.Add("dev", []byte("name: dev\nimplementation: &a local\npool: *a\nnetwork: {a: [1]}\n"))
	f.Add("dev", []byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		read, err := readEnvironments(fstest.MapFS{name + ".yaml": {Data: text}})
		if err != nil {
			return
		}
		for key, e := range read {
			if key != e.Name || !environmentName.MatchString(key) || e.Pool == "" || e.Implementation == "" {
				t.Errorf("%q in %s.yaml is %+v", text, name, e)
			}
		}
	})
}
