package offering_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"roadbed.dev/roadbed/sidecar/internal/offering"
)

func TestLintRefusesWhatReachesBeyondTheModule(t *testing.T) {
	const resource = "resource \"terraform_data\" \"requested\" {\n"
	tests := map[string]struct{ text, want string }{
		"a provisioner":                {resource + "provisioner \"local-exec\" {\ncommand = \"env\"\n}\n}", "the provisioner local-exec runs programs"},
		"a provisioner on a machine":   {resource + "provisioner \"remote-exec\" {}\n}", "the provisioner remote-exec runs programs"},
		"a program's answer":           {"data \"external\" \"x\" {\nprogram = [\"sh\"]\n}", "the data source external.x runs a program"},
		"a page":                       {"data \"http\" \"x\" {\nurl = \"http://169.254.169.254\"\n}", "the data source http.x fetches from anywhere"},
		"another state":                {"data \"terraform_remote_state\" \"x\" {\nbackend = \"http\"\n}", "reads a state"},
		"a backend":                    {"terraform {\nbackend \"http\" {\naddress = \"http://x\"\n}\n}", "the backend block keeps the state elsewhere"},
		"a cloud":                      {"terraform {\ncloud {}\n}", "the cloud block keeps the state elsewhere"},
		"a module from elsewhere":      {"module \"x\" {\nsource = \"git::https://example.com/x\"\n}", "the offering's digest does not cover"},
		"a module above":               {"module \"x\" {\nsource = \"./../../other\"\n}", "the offering's digest does not cover"},
		"the worker's key":             {"locals {\nx = file(\"/keys/local.key\")\n}", "file may read any file of the worker"},
		"a file by a parameter's name": {"locals {\nx = [for y in [1] : filebase64(\"${path.module}/${var.database_name}\")]\n}", "filebase64 may read any file"},
		"a file above":                 {"locals {\nx = templatefile(\"${path.module}/../../x\", {})\n}", "templatefile may read any file"},
		"a home":                       {"locals {\nx = core::file(\"~/.aws/credentials\")\n}", "core::file may read any file"},
		"the root's folder":            {"locals {\nx = file(\"${path.root}/x\")\n}", "file may read any file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := shipped(t)
			tree["postgres-database/module/local/more.tf"] = &fstest.MapFile{Data: []byte(tt.text + "\n"), Mode: 0o644}
			wantProblem(t, tree, tt.want)
		})
	}
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		tree := shipped(t)
		tree["postgres-database/module/local/more.tf.json"] = &fstest.MapFile{Data: []byte(`{}`), Mode: 0o644}
		wantProblem(t, tree, "Terraform in JSON is not looked into")
	})
	t.Run("its own files may be read", func(t *testing.T) {
		t.Parallel()
		tree := shipped(t)
		tree["postgres-database/module/local/more.tf"] = &fstest.MapFile{Mode: 0o644, Data: []byte(
			"locals {\na = file(\"${path.module}/a.sql\")\nb = fileset(path.module, \"*.sql\")\nc = templatefile(\"${path.module}/b/c.tpl\", { x = 1 })\n}\n")}
		for _, problem := range offering.LintAll(t.Context(), tree, deps(t)) {
			if strings.Contains(problem.String(), "more.tf") {
				t.Error(problem)
			}
		}
	})
}

func wantProblem(t *testing.T, tree fstest.MapFS, want string) {
	t.Helper()
	var all []string
	for _, problem := range offering.LintAll(t.Context(), tree, deps(t)) {
		if strings.Contains(problem.String(), want) && strings.Contains(problem.String(), "module/local/more.tf") {
			return
		}
		all = append(all, problem.String())
	}
	t.Errorf("no problem says %q; there are:\n%s", want, strings.Join(all, "\n"))
}
