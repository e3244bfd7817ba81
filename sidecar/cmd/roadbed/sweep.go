package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/deploy/environments"
	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/tagged"
)

type operatorSweepCommand struct {
	serverFlags
	Environment  string `arg:"" help:"The environment that is swept."`
	Environments string `help:"Folder of environment files instead of the built-in ones." type:"existingdir" env:"ROADBED_ENVIRONMENTS"`
	JSON         bool   `name:"json" help:"Print it as JSON."`
}

// Help is the longer text of --help.
func (operatorSweepCommand) Help() string {
	return `It asks AWS, under your own identity there (it takes tag:GetResources), for all that
has the tags of Roadbed and of the environment, and the server for the instances that
they name. Listed is what belongs to no instance, to one that is destroyed, or to one
that is incomplete. Not listed are snapshots and secrets of what is destroyed, which a
destroy leaves for a while. It changes nothing.

  roadbed operator sweep prod --environments deploy/environments --as pat`
}

// stray is something at AWS that no whole instance accounts for.
type stray struct {
	ARN      string `json:"arn"`
	Instance string `json:"instance"` // as people call it, else its id; may be empty
	Why      string `json:"why"`
}

// Run lists strays.
func (c *operatorSweepCommand) Run(ctx context.Context, out io.Writer) error {
	known, err := readEnvironments(folder(c.Environments, environments.FS))
	if err != nil {
		return err
	}
	environment, ok := known[c.Environment]
	switch {
	case !ok:
		return provision.Errorf(provision.NotFound, "there is no environment file %s.yaml: name the folder that has it with --environments", c.Environment)
	case environment.Implementation != "aws":
		return provision.Errorf(provision.Invalid, "%s is made by the implementation %s; what is swept is AWS", environment.Name, environment.Implementation)
	}
	conn, err := c.connect()
	if err != nil {
		return err
	}
	all, err := tagged.Find(ctx, environment, map[string]string{"ManagedBy": "platform", "Environment": environment.Name})
	if err != nil {
		return err
	}
	strays, err := straysIn(all, func(tags map[string]string) (api.Instance, error) {
		id, err := uuid.Parse(tags["RoadbedInstance"])
		if err != nil { // of an offering that does not tag it so
			request, fault := uuid.Parse(tags["RequestID"])
			if fault != nil {
				return api.Instance{}, provision.Errorf(provision.NotFound, "it names no instance")
			}
			made, err := conn.Request(ctx, request)
			if err != nil || made.InstanceId == nil {
				return api.Instance{}, cmp.Or(err, error(provision.Errorf(provision.NotFound, "its request has made no instance")))
			}
			id = *made.InstanceId
		}
		answer, err := conn.Instance(ctx, id)
		return answer.Instance, err
	})
	if err != nil {
		return err
	}
	err = listing[stray]{
		none:  fmt.Sprintf("All %d things that are tagged in %s belong to an instance.", len(all), environment.Name),
		heads: "THING\tINSTANCE\tWHY",
		row:   func(s stray) []any { return []any{s.ARN, s.Instance, s.Why} },
	}.print(out, strays, c.JSON)
	if err != nil || c.JSON || len(strays) == 0 {
		return err
	}
	fmt.Fprintf(out, "\n%d of %d. Look at each before you delete it, or have an instance take it over (docs/recovery.md).\n", len(strays), len(all))
	return nil
}

// straysIn are those of all that no whole instance accounts for, by ARN. Who a
// thing belongs to, instance says by its tags; another fault than NotFound ends
// it: what could not be looked at must not pass for nobody's.
func straysIn(all []tagged.Resource, instance func(tags map[string]string) (api.Instance, error)) ([]stray, error) {
	strays := []stray{}
	for _, r := range all {
		of, err := instance(r.Tags)
		switch {
		case provision.KindOf(err) == provision.NotFound:
			strays = append(strays, stray{r.ARN, cmp.Or(r.Tags["RoadbedInstance"], r.Tags["RequestID"]), "the server knows of no such instance"})
			continue
		case err != nil:
			return nil, fmt.Errorf("ask whose %s is: %w", r.ARN, err)
		}
		name := of.Environment + "/" + of.Name
		switch provision.InstanceState(of.State) {
		case provision.Destroyed, provision.Released:
			if !strings.Contains(r.ARN, ":snapshot:") && !strings.Contains(r.ARN, ":secret:") {
				strays = append(strays, stray{r.ARN, name, "it is " + string(of.State)})
			}
		case provision.Incomplete:
			strays = append(strays, stray{r.ARN, name, fmt.Sprintf("it is incomplete: compare with roadbed operator show %s", of.RequestId)})
		}
	}
	slices.SortStableFunc(strays, func(a, b stray) int { return strings.Compare(a.ARN, b.ARN) })
	return strays, nil
}
