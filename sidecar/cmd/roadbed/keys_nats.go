package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"roadbed.dev/roadbed/sidecar/internal/queue"
)

type keysNATSCommand struct {
	Dir    string   `help:"Folder of the seeds and of users.conf." required:"" type:"path"`
	Worker []string `help:"A worker, as pool/name; repeat it for each." placeholder:"POOL/NAME"`
}

// Help is the longer text of --help.
func (keysNATSCommand) Help() string {
	return `Makes what is missing of <user>.seed for the sidecar, for each worker and for
followers of events, and writes users.conf: the users with their public keys and
the subjects that each may use. Give the NATS server

  include users.conf

in its configuration, and each process its own seed, with --nats-key. To change
a key, delete its seed and run this again. Nothing secret is in users.conf.`
}

// natsUser is one user of users.conf.
type natsUser struct {
	name string // of its seed's file
	may  queue.Permissions
}

// Run makes the seeds that are missing and rewrites users.conf.
func (c *keysNATSCommand) Run(out io.Writer) error {
	users := []natsUser{{name: "sidecar", may: queue.SidecarPermissions()}, {name: "follower", may: queue.FollowerPermissions()}}
	for _, worker := range c.Worker {
		pool, name, found := strings.Cut(worker, "/")
		if !found {
			return fmt.Errorf("--worker %s does not say whose pool it is of; write it as pool/name", worker)
		}
		may, err := queue.WorkerPermissions(pool, name)
		if err != nil {
			return err
		}
		users = append(users, natsUser{name: "worker." + pool + "." + name, may: may})
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make key folder: %w", err)
	}
	text := "# Written by roadbed keys nats: who may use NATS, and for what.\nauthorization {\n  users: [\n"
	for _, user := range users {
		public, err := seedOf(filepath.Join(c.Dir, user.name+".seed"))
		if err != nil {
			return err
		}
		text += user.entry(public)
	}
	file := filepath.Join(c.Dir, "users.conf")
	if err := os.WriteFile(file, []byte(text+"  ]\n}\n"), 0o644); err != nil {
		return fmt.Errorf("write NATS users: %w", err)
	}
	fmt.Fprintf(out, "%s has %d users; their seeds are beside it\n", file, len(users))
	return nil
}

func (u natsUser) entry(public string) string {
	return fmt.Sprintf("    # %s\n    { nkey: %s, permissions: {\n      publish: [%s]\n      subscribe: [%s]\n    } }\n", u.name, public, quotedList(u.may.Publish), quotedList(u.may.Subscribe))
}

func quotedList(subjects []string) string {
	return `"` + strings.Join(subjects, `", "`) + `"`
}

// seedOf answers the public key of a seed's file, which it makes when there is
// none.
func seedOf(file string) (public string, err error) {
	seed, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			return "", fmt.Errorf("make a NATS key: %w", err)
		}
		if seed, err = pair.Seed(); err != nil {
			return "", fmt.Errorf("make a NATS key: %w", err)
		}
		if err := os.WriteFile(file, append(seed, '\n'), 0o600); err != nil {
			return "", fmt.Errorf("write a NATS seed: %w", err)
		}
	} else if err != nil {
		return "", fmt.Errorf("read a NATS seed: %w", err)
	}
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
	if err != nil {
		return "", fmt.Errorf("read the NATS seed %s: %w", file, err)
	}
	defer pair.Wipe()
	return pair.PublicKey()
}
