package terraform

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/terraform-exec/tfexec"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Settings are what every Terraform process of a worker is started with.
type Settings struct {
	Binary    Binary
	CLIConfig string            // a CLI configuration file, which names the provider mirror; empty for none
	Providers Providers         // that modules may use; nil is any that the mirror or the registry has
	Variables map[string]string // environment variables that providers need, and nothing else of ours
}

// Check is an Invalid error when the settings cannot work: a CLI configuration
// that is not there (Terraform itself would only warn), or a variable that
// would change how Terraform is run rather than what a provider reaches.
func (s Settings) Check() error {
	if s.CLIConfig != "" {
		if !filepath.IsAbs(s.CLIConfig) {
			return provision.Errorf(provision.Invalid, "TF_CLI_CONFIG_FILE is %s: give its absolute path, since each run has a working directory of its own", s.CLIConfig)
		}
		if _, err := os.Stat(s.CLIConfig); err != nil {
			return provision.Errorf(provision.Invalid, "TF_CLI_CONFIG_FILE is %s, which cannot be read: build the provider mirror, or unset it", s.CLIConfig)
		}
		if err := s.overrides(); err != nil {
			return err
		}
	}
	for name := range s.Variables {
		if len(tfexec.ProhibitedEnv(map[string]string{name: ""})) > 0 || reserved(name) {
			return provision.Errorf(provision.Invalid, "%s cannot be passed to providers: Roadbed sets how Terraform runs", name)
		}
	}
	return nil
}

// overrides is Invalid when the CLI configuration has providers run that no lock
// file is held against, while only those in a list may.
func (s Settings) overrides() error {
	if s.Providers == nil {
		return nil
	}
	text, err := os.ReadFile(s.CLIConfig)
	if err != nil {
		return fmt.Errorf("read the CLI configuration: %w", err)
	}
	tokens, _ := hclsyntax.LexConfig(text, filepath.Base(s.CLIConfig), hcl.InitialPos) // what is no token is Terraform's to refuse
	for _, token := range tokens {
		if word := token.Type == hclsyntax.TokenIdent || token.Type == hclsyntax.TokenQuotedLit; word && string(token.Bytes) == "dev_overrides" {
			return provision.Errorf(provision.Invalid, "%s has dev_overrides, which run whatever is there: leave them out, or run without a list of providers", s.CLIConfig)
		}
	}
	return nil
}

func reserved(name string) bool {
	return strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "LD_") ||
		name == "PATH" || name == "HOME" || name == "TMPDIR" || name == "CHECKPOINT_DISABLE"
}

// longestTempDir leaves room for a socket's name: the path of a Unix socket has
// 104 bytes at most.
const longestTempDir = 75

// TempDir is the folder for temporary files of the run in home: in it, or, when
// its path would be too long for the sockets of plugins, in the system's. Who
// wipes home wipes it as well.
func TempDir(home string) string {
	inside := filepath.Join(home, "tmp")
	if len(inside) <= longestTempDir {
		return inside
	}
	sum := sha256.Sum256([]byte(inside))
	return filepath.Join(os.TempDir(), "roadbed-run-"+hex.EncodeToString(sum[:8]))
}

func makeTempDir(home string) (string, error) {
	dir := TempDir(home)
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the folder for temporary files: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make the folder for temporary files: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || info.Mode().Perm() != 0o700 || ok && int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("make the folder for temporary files: %s is there already and is not ours alone", dir)
	}
	return dir, nil
}

// secretVariable is how a variable is called whose value must not be shown.
var secretVariable = regexp.MustCompile(`(?i)(pass|secret|token|key|credential|dsn|connection)`)

// secrets are the values of provider variables that must not be shown.
func (s Settings) secrets() []any {
	var secrets []any
	for name, value := range s.Variables {
		parsed, err := url.Parse(value)
		if secretVariable.MatchString(name) || err == nil && parsed.User != nil {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// environment is the whole environment of a process: nothing is inherited but
// PATH. home becomes HOME and holds the folder for temporary files, where
// plugins keep their sockets.
func (s Settings) environment(home string, variables map[string]string) (map[string]string, error) {
	temporary, err := makeTempDir(home)
	if err != nil {
		return nil, err
	}
	config := s.CLIConfig
	if config == "" {
		// Named, though empty: else Terraform reads one of the user's.
		config = filepath.Join(home, "terraform.rc")
		if err := os.WriteFile(config, []byte("disable_checkpoint = true\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write the CLI configuration: %w", err)
		}
	}
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": home, "TMPDIR": temporary,
		"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": config,
	}
	maps.Copy(env, variables)
	return env, nil
}
