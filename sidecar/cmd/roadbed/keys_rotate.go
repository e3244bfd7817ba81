package main

import (
	"context"
	"fmt"
	"io"

	"roadbed.dev/roadbed/sidecar/internal/bucket"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
)

type keysRotateCommand struct {
	Dir    string `help:"Folder of the keys." required:"" type:"existingdir"`
	Holder string `help:"Whose key: sidecar, or a pool." required:""`
}

// Run gives the holder a new key beside the older ones.
func (c *keysRotateCommand) Run(out io.Writer) error {
	if err := keys.Rotate(c.Dir, c.Holder); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s has a new key. Give %[1]s.key to %[1]s, restart it, then give %[1]s.pub to everybody else and restart them;\nthen run roadbed keys rewrap, and when it has ended roadbed keys retire.\n", c.Holder)
	return nil
}

type keysRewrapCommand struct {
	Database     string `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	KeysDir      string `help:"Folder with sidecar.key and <pool>.pub." required:"" type:"existingdir" env:"ROADBED_KEYS_DIR"`
	State        string `help:"Where the bytes of states are kept, as the sidecar is told it." placeholder:"URL" env:"ROADBED_STATE"`
	Environments string `help:"Folder of environment files instead of the built-in ones." type:"existingdir" env:"ROADBED_ENVIRONMENTS"`
}

// Help is the longer text of --help.
func (keysRewrapCommand) Help() string {
	return `Opens every state, sensitive parameter and resource id with the sidecar's keys,
the older ones too, and seals it for the newest keys of its pool and of the
sidecar. It runs beside a sidecar at work, keeps what it has done when it is
stopped, and may be repeated. Plans that wait for approval are left as they
are; they end within --approval-timeout.`
}

// Run seals everything that is kept for the newest keys.
func (c *keysRewrapCommand) Run(ctx context.Context, out io.Writer) error {
	ring, err := keys.Load(c.KeysDir, keys.Sidecar)
	if err != nil {
		return err
	}
	d, err := ownedFiles{Environments: c.Environments}.load()
	if err != nil {
		return err
	}
	store, err := openSealed(ctx, c.Database, c.State)
	if err != nil {
		return err
	}
	defer store.Close()
	done, err := store.Reseal(ctx, func(environment string, sealed []byte) ([]byte, error) {
		e, known := d.environments[environment]
		if !known {
			return nil, fmt.Errorf("environment %s is not configured; restore its file and run this again", environment)
		}
		plain, err := ring.Open(sealed)
		if err != nil {
			return nil, err
		}
		return ring.Seal(e.Pool, plain)
	})
	fmt.Fprintf(out, "sealed anew: %d states, %d parameters, %d resource ids\n", done.States, done.Parameters, done.Resources)
	return err
}

// openSealed is the store with whatever is kept sealed, in a bucket too.
func openSealed(ctx context.Context, database, state string) (*postgres.Store, error) {
	if err := postgres.CheckSchema(ctx, database); err != nil {
		return nil, err
	}
	options := postgres.Options{MaxConnections: 2}
	if state != "" {
		var err error
		if options.Bucket, err = bucket.Open(ctx, state); err != nil {
			return nil, err
		}
	}
	return postgres.Open(database, options)
}

type keysRetireCommand struct {
	Dir          string `help:"Folder of the keys." required:"" type:"existingdir"`
	Holder       string `help:"Whose older keys: sidecar, or a pool." required:""`
	Database     string `help:"PostgreSQL connection string. With it nothing is dropped while anything is still sealed for the older keys alone." env:"ROADBED_DATABASE_URL"`
	State        string `help:"Where the bytes of states are kept, as the sidecar is told it." placeholder:"URL" env:"ROADBED_STATE"`
	Environments string `help:"Folder of environment files instead of the built-in ones." type:"existingdir" env:"ROADBED_ENVIRONMENTS"`
}

// Run drops all keys of the holder but the newest.
func (c *keysRetireCommand) Run(ctx context.Context, out io.Writer) error {
	if c.Database != "" {
		if err := c.needed(ctx); err != nil {
			return err
		}
	}
	n, err := keys.Retire(c.Dir, c.Holder)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d older keys of %s are dropped\n", n, c.Holder)
	return nil
}

// needed is an error while something that the holder must open is sealed for
// its older keys alone. Plans that wait for approval are not looked at.
func (c *keysRetireCommand) needed(ctx context.Context) error {
	ring, err := keys.Load(c.Dir, c.Holder)
	if err != nil {
		return err
	}
	d, err := ownedFiles{Environments: c.Environments}.load()
	if err != nil {
		return err
	}
	store, err := openSealed(ctx, c.Database, c.State)
	if err != nil {
		return err
	}
	defer store.Close()
	newest := ring.Newest()
	_, err = store.Reseal(ctx, func(environment string, sealed []byte) ([]byte, error) {
		if c.Holder == keys.Sidecar || d.environments[environment].Pool == c.Holder {
			if _, err := newest.Open(sealed); err != nil {
				return nil, fmt.Errorf("the newest key of %s does not open it; run roadbed keys rewrap to its end first: %w", c.Holder, err)
			}
		}
		return sealed, nil // it stays as it is
	})
	return err
}
