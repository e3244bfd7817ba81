package main

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/offering"

	templates "roadbed.dev/roadbed/backstage-templates"
)

// manifest is what the tests look at of a Kubernetes object.
type manifest struct {
	Kind     string                `yaml:"kind"`
	Metadata struct{ Name string } `yaml:"metadata"`
	Data     map[string]string     `yaml:"data"`
	Spec     struct {
		Template struct {
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
		Claims []struct {
			Metadata struct{ Name string } `yaml:"metadata"`
		} `yaml:"volumeClaimTemplates"`
	} `yaml:"spec"`
}

type podSpec struct {
	Grace    int `yaml:"terminationGracePeriodSeconds"`
	Security struct {
		NonRoot bool `yaml:"runAsNonRoot"`
		User    int  `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	Init       []container `yaml:"initContainers"`
	Containers []container `yaml:"containers"`
	Volumes    []struct {
		Name   string `yaml:"name"`
		Secret struct {
			Name string `yaml:"secretName"`
		} `yaml:"secret"`
	} `yaml:"volumes"`
}

type container struct {
	Name string   `yaml:"name"`
	Args []string `yaml:"args"`
	Env  []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	EnvFrom  []yaml.Node `yaml:"envFrom"`
	Security struct {
		Escalation   *bool                   `yaml:"allowPrivilegeEscalation"`
		ReadOnly     bool                    `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop []string } `yaml:"capabilities"`
	} `yaml:"securityContext"`
	Resources struct {
		Requests, Limits map[string]string
	} `yaml:"resources"`
	Mounts []struct {
		Name string `yaml:"name"`
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
}

type probe struct {
	Get struct{ Path string } `yaml:"httpGet"`
}

// manifests are all objects of deploy/kubernetes.
func manifests(t *testing.T) []manifest {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository(t), "deploy", "kubernetes", "*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	var all []manifest
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		for {
			var m manifest
			if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, m)
		}
	}
	return all
}

// TestKubernetesStartsWhatTheBinaryTakes parses each container's command line
// and environment as its process would, with a file for each that is mounted.
func TestKubernetesStartsWhatTheBinaryTakes(t *testing.T) {
	all, root, parsed := manifests(t), t.TempDir(), 0
	known := map[string]bool{}
	var c cli
	parser, err := newParser(t.Context(), &c, io.Discard, io.Discard, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(false) {
		for _, group := range command.AllFlags(false) {
			for _, flag := range group {
				for _, env := range flag.Envs {
					known[env] = true
				}
			}
		}
	}
	for _, m := range all {
		if m.Kind != "ConfigMap" {
			continue
		}
		for name, value := range m.Data {
			if !known[name] {
				t.Errorf("no flag of roadbed is told by %s", name)
			}
			t.Setenv(name, value)
		}
	}
	for _, m := range all {
		pod := m.Spec.Template.Spec
		for _, run := range slices.Concat(pod.Init, pod.Containers) {
			parsed++
			for _, env := range run.Env {
				if env.Name != "POD" && !known[env.Name] {
					t.Errorf("%s: no flag of roadbed is told by %s", run.Name, env.Name)
				}
				t.Setenv(env.Name, mounted(t, root, run, cmp.Or(env.Value, "postgres://localhost/roadbed")))
			}
			args := make([]string, len(run.Args))
			for i, arg := range run.Args {
				arg = strings.ReplaceAll(arg, "$(POD)", m.Metadata.Name+"-0")
				args[i] = mounted(t, root, run, arg)
			}
			var told cli
			parser, err := newParser(t.Context(), &told, io.Discard, io.Discard, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args); err != nil {
				t.Errorf("%s: roadbed %s: %v", run.Name, strings.Join(run.Args, " "), err)
			}
		}
	}
	if parsed < 3 {
		t.Errorf("%d containers; the test has lost some", parsed)
	}
}

var etc = regexp.MustCompile(`/etc/roadbed/\S+`)

// mounted makes the file or the folder that an argument names and a volume of
// the container brings.
func mounted(t *testing.T, root string, run container, arg string) string {
	t.Helper()
	path := etc.FindString(arg)
	if path == "" {
		return arg
	}
	brought := slices.ContainsFunc(run.Mounts, func(m struct {
		Name string `yaml:"name"`
		Path string `yaml:"mountPath"`
	}) bool {
		return path == m.Path || strings.HasPrefix(path, m.Path+"/")
	})
	if !brought {
		t.Errorf("%s: no volume brings %s", run.Name, path)
	}
	here := filepath.Join(root, path)
	folder := here
	if path != "/etc/roadbed/keys" {
		folder = filepath.Dir(here)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if folder != here {
		if err := os.WriteFile(here, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Replace(arg, path, here, 1)
}

func TestKubernetesPodsAreConfined(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repository(t), "docs", "kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := os.ReadFile(filepath.Join(repository(t), "sidecar", "api", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests(t) {
		pod := m.Spec.Template.Spec
		if len(pod.Containers) == 0 {
			continue
		}
		if !pod.Security.NonRoot || pod.Security.User == 0 {
			t.Errorf("%s may run as root", m.Metadata.Name)
		}
		volumes := map[string]bool{}
		for _, v := range pod.Volumes {
			volumes[v.Name] = true
			if v.Secret.Name != "" && !strings.Contains(string(page), "secret "+v.Secret.Name+" ") {
				t.Errorf("docs/kubernetes.md does not make the secret %s", v.Secret.Name)
			}
		}
		for _, claim := range m.Spec.Claims {
			volumes[claim.Metadata.Name] = true
		}
		for _, run := range slices.Concat(pod.Init, pod.Containers) {
			s := run.Security
			if s.Escalation == nil || *s.Escalation || !s.ReadOnly || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("%s may gain rights or write where it should not: %+v", run.Name, s)
			}
			if run.Resources.Requests["memory"] == "" || run.Resources.Limits["memory"] == "" {
				t.Errorf("%s has no bounds on its memory", run.Name)
			}
			for _, mount := range run.Mounts {
				if !volumes[mount.Name] {
					t.Errorf("%s mounts %s, which is no volume", run.Name, mount.Name)
				}
			}
			for _, path := range []string{run.Liveness.Get.Path, run.Readiness.Get.Path} {
				if !strings.Contains(string(spec), "\n  "+path+":\n") && path != "" {
					t.Errorf("%s is probed at %s, which is no route", run.Name, path)
				}
				if run.Name == "sidecar" && path == "" {
					t.Error("the sidecar is not probed for both, life and readiness")
				}
			}
		}
	}
}

// TestKubernetesWaitsForWhatAWorkerApplies holds the pod's grace to the drain, and
// the drain to the longest apply of what is shipped.
func TestKubernetesWaitsForWhatAWorkerApplies(t *testing.T) {
	longest := time.Duration(0)
	for _, id := range []string{"postgres-database", "static-site"} {
		loaded, _, err := offering.Load(templates.FS, id)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, loaded.Offering.ApplyTimeout)
	}
	workers := 0
	for _, m := range manifests(t) {
		for _, run := range m.Spec.Template.Spec.Containers {
			i := slices.IndexFunc(run.Args, func(arg string) bool { return strings.HasPrefix(arg, "--drain=") })
			if i < 0 {
				continue
			}
			workers++
			drain, err := time.ParseDuration(strings.TrimPrefix(run.Args[i], "--drain="))
			grace := time.Duration(m.Spec.Template.Spec.Grace) * time.Second
			if err != nil || drain < longest || grace <= drain {
				t.Errorf("%s: an apply takes up to %s, the worker waits %s and is killed after %s (%v)", m.Metadata.Name, longest, drain, grace, err)
			}
		}
	}
	if workers == 0 {
		t.Error("no worker drains")
	}
}

// TestTheImagesAreBuiltFromWhatIsThere reads the Dockerfile, which nothing here can run.
func TestTheImagesAreBuiltFromWhatIsThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository(t), "deploy", "docker", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(repository(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if goVersion == nil || !bytes.Contains(text, append([]byte("ARG GO="), append(goVersion[1], '\n')...)) {
		t.Errorf("the image is not built with Go %s, which go.mod asks for", goVersion)
	}
	for _, path := range []string{"sidecar/cmd/roadbed", "deploy/providers/build"} {
		if _, err := os.Stat(filepath.Join(repository(t), path)); err != nil || !bytes.Contains(text, []byte(path)) {
			t.Errorf("the Dockerfile does not build %s (%v)", path, err)
		}
	}
	for _, target := range []string{"AS sidecar", "AS worker", "USER 65532:65532"} {
		if !bytes.Contains(text, []byte(target)) {
			t.Errorf("the Dockerfile has no %s", target)
		}
	}
}
