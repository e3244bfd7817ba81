package terraform

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	goversion "github.com/hashicorp/go-version"
	install "github.com/hashicorp/hc-install"
	"github.com/hashicorp/hc-install/product"
	"github.com/hashicorp/hc-install/releases"
	"github.com/hashicorp/hc-install/src"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// DefaultVersion is what Find downloads when it has to and nothing else is asked for.
const DefaultVersion = "1.11.4"

// oldest is the version that the offerings' modules ask for at least.
const oldest = "1.9.0"

// Binary is a Terraform or OpenTofu executable.
type Binary struct {
	Path    string `json:"path"` // absolute
	Version string `json:"version"`
}

// Check is nil when the version is one that modules can be run with; Invalid,
// with the version that is needed, when it is older.
func (b Binary) Check() error {
	version, err := goversion.NewVersion(b.Version)
	if err != nil || version.LessThan(goversion.Must(goversion.NewVersion(oldest))) {
		return provision.Errorf(provision.Invalid, "version %s of %s is too old; it must be %s or newer", b.Version, b.Path, oldest)
	}
	return nil
}

// Search says where Find looks.
type Search struct {
	Path     string // the operator's choice (ROADBED_TERRAFORM): a path or a name on PATH; empty to search
	CacheDir string // where a downloaded binary is kept; empty forbids downloading
	Version  string // what to download; empty is DefaultVersion
}

// Find is the binary to run: the chosen one, else terraform or tofu on PATH,
// else one downloaded into the cache folder, where it is found again the next
// time. It runs `version` once and may download, so call it once at start. When
// there is none it is an Unavailable error that says what to do.
func Find(ctx context.Context, s Search) (Binary, error) {
	if s.Path != "" {
		path, err := exec.LookPath(s.Path)
		if err != nil {
			return Binary{}, provision.Errorf(provision.Unavailable, "ROADBED_TERRAFORM is %q, which is no executable: set it to the path of terraform or tofu, or unset it", s.Path)
		}
		return probe(ctx, path)
	}
	for _, name := range []string{"terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return probe(ctx, path)
		}
	}
	return download(ctx, s)
}

func probe(ctx context.Context, path string) (Binary, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Binary{}, fmt.Errorf("find Terraform at %s: %w", path, err)
	}
	cmd := exec.CommandContext(ctx, path, "version", "-json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "CHECKPOINT_DISABLE=1"}
	out, err := cmd.Output()
	if err != nil {
		return Binary{}, provision.Errorf(provision.Unavailable, "%s does not answer `version -json`: %w", path, err)
	}
	var answer struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &answer); err != nil || answer.Version == "" {
		return Binary{}, provision.Errorf(provision.Unavailable, "%s is neither Terraform nor OpenTofu: its version answer was not understood", path)
	}
	return Binary{Path: path, Version: answer.Version}, nil
}

func download(ctx context.Context, s Search) (Binary, error) {
	const wayOut = "put terraform or tofu on PATH, or set ROADBED_TERRAFORM to its path"
	if s.CacheDir == "" {
		return Binary{}, provision.Errorf(provision.Unavailable, "there is no terraform or tofu on PATH: %s", wayOut)
	}
	wanted := s.Version
	if wanted == "" {
		wanted = DefaultVersion
	}
	version, err := goversion.NewVersion(strings.TrimPrefix(wanted, "v"))
	if err != nil {
		return Binary{}, provision.Errorf(provision.Invalid, "Terraform version %q is not a version such as %s", wanted, DefaultVersion)
	}
	dir := filepath.Join(s.CacheDir, "terraform-"+version.String())
	if cached := filepath.Join(dir, "terraform"); executable(cached) {
		return probe(ctx, cached)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Binary{}, fmt.Errorf("make the folder for Terraform %s: %w", version, err)
	}
	path, err := install.NewInstaller().Ensure(ctx, []src.Source{
		&releases.ExactVersion{Product: product.Terraform, Version: version, InstallDir: dir},
	})
	if err != nil {
		return Binary{}, provision.Errorf(provision.Unavailable, "there is no terraform or tofu on PATH, and Terraform %s could not be downloaded: %s: %w", version, wayOut, err)
	}
	return probe(ctx, path)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o100 != 0
}
