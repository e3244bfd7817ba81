package offering_test

import (
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FuzzContract reads any text as an offering.yaml: it is an offering whose form
// can be made, or Invalid.
func FuzzContract(f *testing.F) {
	for _, id := range []string{"postgres-database", "static-site"} {
		text, err := fs.ReadFile(templates.FS, id+"/offering.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	document, err := os.ReadFile("testdata/document.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add([]byte("name: x\nparameters: [&a {name: b, type: integer, min: .nan, max: .inf, default: 0x1}, *a]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("name: !!binary x\nversion: 1e3\nparameters: {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		loaded, _, err := offering.Load(fstest.MapFS{"thing/offering.yaml": {Data: text}}, "thing")
		if err != nil {
			if provision.KindOf(err) != provision.Invalid {
				t.Errorf("%q: %v is %s, want Invalid", text, err, provision.KindOf(err))
			}
			return
		}
		if _, err := offering.Template(loaded.Offering); err != nil {
			t.Errorf("%q loads, and has no form: %v", text, err)
		}
	})
}
