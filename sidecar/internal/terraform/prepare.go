package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/terraform-config-inspect/tfconfig"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Prepared is a module that `init` has been run on, once, for all runs of it.
type Prepared struct {
	Dir       string     `json:"-"`         // never written to again
	Variables []string   `json:"variables"` // that the module declares, sorted
	Providers []provider `json:"providers"`
}

// provider is an executable as it was when the module was initialised. One that
// was built anew since does not fit the module's lock file any more.
type provider struct {
	Path    string    `json:"path"`
	Size    int64     `json:"size"`
	Changed time.Time `json:"changed"`
}

const preparedFile = ".roadbed.json"

var safeName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)

// Prepare is the prepared directory of an offering's implementation under
// root. The first call unpacks the module that files returns (the folder with
// its .tf files) and initialises it; later ones, and those of other processes,
// find it. It blocks while another prepares the same and may take minutes when
// providers are downloaded. A module that cannot be initialised is an Invalid
// error with Terraform's words; the next call tries again.
func (s Settings) Prepare(ctx context.Context, root, digest, implementation string, files func(context.Context) (fs.FS, error)) (Prepared, error) {
	name := strings.ReplaceAll(digest, ":", "-") + "-" + implementation
	if !safeName.MatchString(name) {
		return Prepared{}, provision.Errorf(provision.Invalid, "offering digest %q with implementation %q is no name for a folder", digest, implementation)
	}
	dir := filepath.Join(root, name)
	if prepared, err := readPrepared(dir); err == nil {
		return prepared, nil
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return Prepared{}, fmt.Errorf("make the folder for prepared modules: %w", err)
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return Prepared{}, err
	}
	defer unlock()
	if prepared, err := readPrepared(dir); err == nil {
		return prepared, nil
	}
	module, err := files(ctx)
	if err != nil {
		return Prepared{}, err
	}
	return s.prepare(ctx, root, dir, implementation, module)
}

func (s Settings) prepare(ctx context.Context, root, dir, implementation string, module fs.FS) (Prepared, error) {
	staging, err := os.MkdirTemp(root, ".preparing-")
	if err != nil {
		return Prepared{}, fmt.Errorf("prepare module %s: %w", implementation, err)
	}
	defer os.RemoveAll(staging)
	defer os.RemoveAll(TempDir(staging))
	work := filepath.Join(staging, "module")
	if err := os.CopyFS(work, module); err != nil {
		return Prepared{}, fmt.Errorf("unpack module %s: %w", implementation, err)
	}
	parsed, faults := tfconfig.LoadModule(work)
	if faults.HasErrors() {
		return Prepared{}, provision.Errorf(provision.Invalid, "module %s cannot be read: %w", implementation, faults.Err())
	}
	if len(parsed.ManagedResources)+len(parsed.DataResources)+len(parsed.ModuleCalls)+len(parsed.Outputs)+len(parsed.Variables) == 0 {
		return Prepared{}, provision.Errorf(provision.Invalid, "the offering has no module for implementation %q: add a folder module/%s with its .tf files", implementation, implementation)
	}
	if err := s.initialise(ctx, staging, work); err != nil {
		return Prepared{}, err
	}
	if s.Providers != nil {
		if err := s.Providers.allow(work); err != nil {
			return Prepared{}, err
		}
	}
	if _, err := os.Stat(filepath.Join(work, ".terraform", "terraform.tfstate")); err == nil {
		return Prepared{}, provision.Errorf(provision.Invalid, "module %s has a backend or cloud block: Roadbed keeps the state, remove the block", implementation)
	}
	providers, err := findProviders(filepath.Join(work, ".terraform", "providers"))
	if err != nil {
		return Prepared{}, err
	}
	prepared := Prepared{Variables: make([]string, 0, len(parsed.Variables)), Providers: providers}
	for variable := range parsed.Variables {
		prepared.Variables = append(prepared.Variables, variable)
	}
	slices.Sort(prepared.Variables)
	facts, err := json.Marshal(prepared)
	if err != nil {
		return Prepared{}, fmt.Errorf("prepare module %s: %w", implementation, err)
	}
	if err := os.WriteFile(filepath.Join(work, preparedFile), facts, 0o600); err != nil {
		return Prepared{}, fmt.Errorf("prepare module %s: %w", implementation, err)
	}
	if err := os.RemoveAll(dir); err != nil { // one whose providers have changed
		return Prepared{}, fmt.Errorf("put prepared module %s in its place: %w", implementation, err)
	}
	if err := os.Rename(work, dir); err != nil {
		return Prepared{}, fmt.Errorf("put prepared module %s in its place: %w", implementation, err)
	}
	prepared.Dir = dir
	return prepared, nil
}

func readPrepared(dir string) (Prepared, error) {
	raw, err := os.ReadFile(filepath.Join(dir, preparedFile))
	if err != nil {
		return Prepared{}, err
	}
	var prepared Prepared
	if err := json.Unmarshal(raw, &prepared); err != nil {
		return Prepared{}, err
	}
	for _, p := range prepared.Providers {
		info, err := os.Stat(p.Path)
		if err != nil || info.Size() != p.Size || !info.ModTime().Equal(p.Changed) {
			return Prepared{}, fmt.Errorf("provider %s has changed since the module was initialised", p.Path)
		}
	}
	prepared.Dir = dir
	return prepared, nil
}

// findProviders are the executables that are linked from a providers folder;
// what was copied into it cannot change apart from it.
func findProviders(folder string) ([]provider, error) {
	links, err := filepath.Glob(filepath.Join(folder, "*", "*", "*", "*", "*"))
	if err != nil {
		return nil, fmt.Errorf("look for providers: %w", err)
	}
	var providers []provider
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		files, err := os.ReadDir(target)
		if err != nil {
			return nil, fmt.Errorf("look for providers: %w", err)
		}
		for _, file := range files {
			info, err := file.Info()
			if err != nil {
				return nil, fmt.Errorf("look for providers: %w", err)
			}
			providers = append(providers, provider{filepath.Join(target, file.Name()), info.Size(), info.ModTime()})
		}
	}
	return providers, nil
}

// SweepPrepared removes what killed processes have left half prepared under
// root. Nothing may be preparing there meanwhile.
func SweepPrepared(root string) error {
	halves, err := filepath.Glob(filepath.Join(root, ".preparing-*"))
	for _, half := range halves {
		err = errors.Join(err, os.RemoveAll(TempDir(half)), os.RemoveAll(half))
	}
	if err != nil {
		return fmt.Errorf("sweep prepared modules: %w", err)
	}
	return nil
}

// initialise runs `init` itself, because terraform-exec has no option for the
// lock file: one that the module brings must hold as it is, and without one it
// is made with the providers that the mirror has.
func (s Settings) initialise(ctx context.Context, home, work string) error {
	variables, err := s.environment(home, nil)
	if err != nil {
		return err
	}
	arguments := []string{"init", "-input=false", "-no-color"}
	if _, err := os.Stat(filepath.Join(work, lockFile)); err == nil {
		arguments = append(arguments, "-lockfile=readonly")
	}
	cmd := exec.CommandContext(ctx, s.Binary.Path, arguments...)
	cmd.Dir = work
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1")
	cmd.SysProcAttr = childAttributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("initialise module: %w", ctx.Err())
		}
		var redactor Redactor
		return &Failure{Phase: "init", Diagnostics: []Diagnostic{{
			Severity: "error", Summary: "Terraform could not initialise the module",
			Detail: redactor.Text(strings.TrimSpace(said.String())),
		}}, cause: err}
	}
	return nil
}

// lock holds the file until unlock, against other goroutines and processes.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil // closing is unlocking
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the lock of %s: %w", path, ctx.Err())
		case <-again.C:
		}
	}
}
