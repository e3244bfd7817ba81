package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// serverFlags say which sidecar is asked and who asks.
type serverFlags struct {
	Server string `help:"Base of the sidecar's API; by default the development site's." placeholder:"URL" env:"ROADBED_URL"`
	Token  string `help:"Backstage token of the one who asks." placeholder:"TOKEN" env:"ROADBED_TOKEN"`
	As     string `help:"Ask as this person of the development site: ann, ben or pat." placeholder:"NAME"`
	Data   string `help:"Folder of the development site." default:".build/dev" type:"path" env:"ROADBED_DATA"`
}

// instanceFlags say where a command asks, and about which instance.
type instanceFlags struct {
	serverFlags
	Instance string `arg:"" help:"Its id, or its environment and name, such as dev/orders."`
}

// reach connects and finds the instance.
func (f *instanceFlags) reach(ctx context.Context) (*connection, api.Instance, error) {
	conn, err := f.connect()
	if err != nil {
		return nil, api.Instance{}, err
	}
	instance, err := conn.instance(ctx, f.Instance)
	return conn, instance, err
}

// connection is a client whose streams say when they are interrupted.
type connection struct {
	*client.Client
	lost chan error
}

const (
	patience  = 15 * time.Second // for a sidecar that restarts
	freshness = 30 * time.Minute // of a development token, which lasts an hour
)

// connect makes the client; it calls nothing yet. What is missing is Invalid
// and names the flag that gives it.
func (f serverFlags) connect() (*connection, error) {
	server := f.Server
	if server == "" {
		site, err := f.site("no server is named", "--server URL (or ROADBED_URL)")
		if err != nil {
			return nil, err
		}
		server = site.SidecarURL()
	}
	source, err := f.tokens()
	if err != nil {
		return nil, err
	}
	c := &connection{lost: make(chan error, 1)}
	c.Client, err = client.New(server, "", client.Retry(patience), client.TokenSource(source), client.Interrupted(func(err error) {
		select {
		case c.lost <- err:
		default: // it is known already
		}
	}))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// site is the development site, or what to do instead of having one.
func (f serverFlags) site(missing, instead string) (*devenv.Site, error) {
	site, err := devenv.ReadSite(f.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, provision.Errorf(provision.Invalid, "%s and there is no development site in %s; give %s, or start one with `roadbed dev`", missing, f.Data, instead)
	}
	return site, err
}

// tokens is where tokens come from: a person named with --as before a token,
// which may stand in the environment.
func (f serverFlags) tokens() (func(context.Context) (string, error), error) {
	if f.As == "" {
		if f.Token == "" {
			return nil, provision.Errorf(provision.Invalid, "nobody asks: give --token TOKEN (or ROADBED_TOKEN) with a Backstage token, or --as NAME on a development site, as in --as ann")
		}
		return func(context.Context) (string, error) { return f.Token, nil }, nil
	}
	site, err := f.site("--as is for a development site", "--token TOKEN (or ROADBED_TOKEN)")
	if err != nil {
		return nil, err
	}
	if _, known := people[f.As]; !known {
		return nil, provision.Errorf(provision.Invalid, "there is no %q on a development site; be %s", f.As, strings.Join(slices.Sorted(maps.Keys(people)), ", "))
	}
	var (
		mu    sync.Mutex
		token string
		made  time.Time
	)
	return func(context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if token != "" && time.Since(made) < freshness {
			return token, nil
		}
		fresh, err := devToken(site, f.As)
		if err != nil {
			return "", err
		}
		token, made = fresh, time.Now()
		return token, nil
	}, nil
}

// instance finds a living instance by its id or by its name, as
// resource:dev/orders.postgres-database, dev/orders.postgres-database or
// dev/orders. A name that several have is Invalid, one that none has NotFound.
func (c *connection) instance(ctx context.Context, named string) (api.Instance, error) {
	if id, err := uuid.Parse(named); err == nil && len(named) == 36 {
		answer, err := c.Instance(ctx, id)
		return answer.Instance, err
	}
	environment, name, ok := strings.Cut(strings.TrimPrefix(named, "resource:"), "/")
	if !ok || environment == "" || name == "" {
		return api.Instance{}, provision.Errorf(provision.Invalid, "%q names no instance; give its id, or its environment and name as in dev/orders", named)
	}
	most := 100
	page := api.ListInstancesParams{Environment: &environment, Limit: &most}
	var found []api.Instance
	for {
		list, err := c.Instances(ctx, page)
		if err != nil {
			return api.Instance{}, err
		}
		found = append(found, matching(list.Items, name)...)
		if list.Next == "" {
			return theOne(found, named)
		}
		page.Cursor = &list.Next
	}
}

// matching are the instances called name, or name.offering.
func matching(instances []api.Instance, name string) []api.Instance {
	var found []api.Instance
	for _, i := range instances {
		if strings.EqualFold(name, i.Name) || strings.EqualFold(name, i.Name+"."+i.Offering) {
			found = append(found, i)
		}
	}
	return found
}

func theOne(found []api.Instance, named string) (api.Instance, error) {
	switch len(found) {
	case 0:
		return api.Instance{}, provision.Errorf(provision.NotFound, "there is no living instance %s that you may see", named)
	case 1:
		return found[0], nil
	}
	var refs []string
	for _, i := range found {
		refs = append(refs, i.EntityRef)
	}
	slices.Sort(refs)
	return api.Instance{}, provision.Errorf(provision.Invalid, "%s names %d instances; say which: %s", named, len(found), strings.Join(refs, ", "))
}

type credentialsCommand struct {
	instanceFlags
	JSON bool `name:"json" help:"Print them as one JSON object."`
}

// Help is the longer text of --help.
func (credentialsCommand) Help() string {
	return `Each opening is recorded as an event, with your name. Only the owning team may
open them.

  roadbed credentials dev/orders --as ann
  roadbed credentials dev/orders --as ann --json | jq -r .password`
}

// Run opens the credentials and prints them.
func (c *credentialsCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	credentials, err := conn.Credentials(ctx, instance.Id)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out, credentials)
	}
	printCredentials(out, instance.EntityRef, credentials)
	return nil
}

func printCredentials(out io.Writer, ref string, credentials map[string]any) {
	fmt.Fprintln(out, ref)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		fmt.Fprintf(table, "  %s\t%v\n", name, credentials[name])
	}
	_ = table.Flush() // out is the terminal; nothing to do
	fmt.Fprintln(out, "This opening is recorded with your name.")
}
