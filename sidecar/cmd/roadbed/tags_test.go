package main

import (
	"io/fs"
	"regexp"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/policies"
)

// untaggable are types at AWS that can carry no tags.
var untaggable = []string{"aws_cloudwatch_dashboard", "aws_secretsmanager_secret_version"}

// TestWhatModulesMakeAtAWSIsHeldToItsTags: the rule missing_tags looks at every
// type that can carry tags, so that none can be made in prod without.
func TestWhatModulesMakeAtAWSIsHeldToItsTags(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(policies.FS, "data/plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		MissingTags struct {
			Types []string `yaml:"types"`
		} `yaml:"missing_tags"`
	}
	if err := yaml.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(templates.FS, "*/module/aws/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, file := range files {
		module, err := fs.ReadFile(templates.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^resource "(aws_[a-z0-9_]+)" "([a-z0-9_]+)"`).FindAllStringSubmatch(string(module), -1) {
			made++
			if kind := found[1]; slices.Contains(data.MissingTags.Types, kind) == slices.Contains(untaggable, kind) {
				t.Errorf("%s makes %s.%s: name its type in missing_tags of policies/data/plan.yaml, or here if it can carry no tags", file, kind, found[2])
			}
		}
	}
	if made < 9 {
		t.Errorf("the modules make %d things at AWS; there were 9", made)
	}
}
