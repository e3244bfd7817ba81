package offering_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// authorsPage is what somebody reads who makes an offering.
func authorsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/adding-an-offering.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fileOnPage = regexp.MustCompile("(?m)^\\*\\*`([^`]+)`\\*\\*\n\n```[a-z]+\n((?s:.*?))^```$")

// TestThePageForAuthorsMakesAnOffering does what the page says with the files
// that stand on it: nothing is left to mend.
func TestThePageForAuthorsMakesAnOffering(t *testing.T) {
	t.Parallel()
	const id = "shared-folder"
	tree := fstest.MapFS{
		id + "/README.md": {Data: []byte("For a team.")},
		"catalog.yaml":    {Data: []byte("spec: {targets: [./" + id + "/template.yaml]}")},
	}
	files := fileOnPage.FindAllStringSubmatch(authorsPage(t), -1)
	for _, file := range files {
		tree[file[1]] = &fstest.MapFile{Data: []byte(file[2])}
	}
	if len(files) < 4 {
		t.Fatalf("%d files on the page; the test has lost some", len(files))
	}
	loaded, warnings, err := offering.Load(tree, id)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("error %v, warnings %v", err, warnings)
	}
	form, err := offering.Template(loaded.Offering)
	if err != nil {
		t.Fatal(err)
	}
	tree[id+"/template.yaml"] = &fstest.MapFile{Data: form}
	for _, problem := range offering.LintAll(t.Context(), tree, deps(t)) {
		t.Error(problem)
	}
}

// TestThePageForAuthorsNamesEveryField reads the fields from what refuses others.
func TestThePageForAuthorsNamesEveryField(t *testing.T) {
	t.Parallel()
	page := authorsPage(t)
	for _, field := range offering.Fields() {
		if !strings.Contains(page, "`"+field+"`") {
			t.Errorf("the page does not say what %s is", field)
		}
	}
	var environment map[string]any
	written, err := yaml.Marshal(provision.Environment{})
	if err == nil {
		err = yaml.Unmarshal(written, &environment)
	}
	if err != nil {
		t.Fatal(err)
	}
	for field := range environment {
		if !strings.Contains(page, "`"+field+"`") {
			t.Errorf("the page does not say what %s of an environment is", field)
		}
	}
}
