package terraform

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-exec/tfexec"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Settings are what every Terraform process of a worker is started with.
type Settings struct {
	Binary    Binary
	CLIConfig string            // a CLI configuration file, which names the provider mirror; empty for none
	Variables map[string]string // environment variables that providers need, and nothing else of ours
}

// Check is an Invalid error when the settings cannot work: a CLI configuration
// that is not there (Terraform itself would only warn), or a variable that
// would change how Terraform is run rather than what a provider reaches.
func (s Settings) Check() error {
	if s.CLIConfig != "" {
		if _, err := os.Stat(s.CLIConfig); err != nil {
			return provision.Errorf(provision.Invalid, "TF_CLI_CONFIG_FILE is %s, which cannot be read: build the provider mirror, or unset it", s.CLIConfig)
		}
	}
	for name := range s.Variables {
		if len(tfexec.ProhibitedEnv(map[string]string{name: ""})) > 0 || reserved(name) {
			return provision.Errorf(provision.Invalid, "%s cannot be passed to providers: Roadbed sets how Terraform runs", name)
		}
	}
	return nil
}

func reserved(name string) bool {
	return strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "LD_") ||
		name == "PATH" || name == "HOME" || name == "TMPDIR" || name == "CHECKPOINT_DISABLE"
}

// environment is the whole environment of a process: nothing is inherited but
// PATH. home becomes HOME and holds the folder for temporary files, where
// plugins keep their sockets.
func (s Settings) environment(home string, variables map[string]string) (map[string]string, error) {
	temporary := filepath.Join(home, "tmp")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for temporary files: %w", err)
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
