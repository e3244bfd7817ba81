package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// plan fills the run's directory and makes its plan; the record then says that
// the plan may be asked about.
func (r *run) plan(ctx context.Context) error {
	claim := r.rec.Claim
	r.keep(r.reporter.phase("init", "started", ""))
	r.reporter.say(0, fmt.Sprintf("Run %s of %s (%s) on worker %s", claim.RunID, claim.Offering, claim.Action, r.rec.Worker))
	// Known before anything is made, not when its state cannot be kept.
	if _, err := seal(claim.StateRecipients, nil); err != nil {
		return err
	}
	tf, err := r.terraform()
	if err != nil {
		return err
	}
	var warm sync.WaitGroup
	warm.Go(func() { tf.Warm(ctx) })
	defer warm.Wait()
	prepared, err := r.w.Config.Terraform.Prepare(ctx, filepath.Join(r.w.Config.Root, "prepared"),
		claim.OfferingDigest, claim.Implementation, r.module)
	if err != nil {
		return err
	}
	if err := tf.Fill(prepared); err != nil {
		return err
	}
	values, sealed, err := r.variables()
	if err != nil {
		return err
	}
	if err := tf.WriteVariables(prepared, values, sealed); err != nil {
		return err
	}
	if claim.Action == provision.Import {
		if err := tf.WriteImports(claim.Imports); err != nil {
			return err
		}
	}
	if err := r.pullState(ctx, tf); err != nil {
		return err
	}
	if err := r.importMade(ctx, tf); err != nil {
		return err
	}
	r.keep(r.reporter.phase("init", "completed", ""))

	warm.Wait()
	warm.Go(func() { tf.WarmApply(ctx) })
	r.keep(r.reporter.phase("plan", "started", ""))
	changes, err := r.makePlan(ctx, tf)
	if err != nil {
		return err
	}
	r.rec.Changes, r.rec.Phase = changes, phaseAsked
	if err := r.save(); err != nil {
		return err
	}
	r.keep(r.reporter.phase("plan", "completed", ""))
	return nil
}

// makePlan is the plan that was approved, if it still fits, else a new one.
func (r *run) makePlan(ctx context.Context, tf *terraform.Run) ([]provision.Change, error) {
	if r.rec.Claim.PlanDigest != "" {
		changes, stale, err := r.restorePlan(ctx, tf)
		if err != nil {
			return nil, err
		}
		if stale == "" {
			r.reporter.say(0, "The plan that was approved is used as it is.")
			return changes, nil
		}
		r.log.Warn("approved plan not used", "why", stale)
		r.reporter.say(0, "The plan that was approved is not used: "+stale+". Planning anew.")
	}
	make := tf.Plan
	if r.rec.Claim.Action == provision.Destroy {
		make = tf.PlanDestroy
	}
	return make(ctx, func(e terraform.Event) { r.reporter.say(0, e.Lines()...) })
}

// ask submits the plan's changes. The answer may be asked for again: it is the
// same.
func (r *run) ask(ctx context.Context) error {
	claim := r.rec.Claim
	_, err := call(ctx, r, "submit the plan", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.w.Control.Plan(ctx, claim.RunID, claim.Token, r.rec.Changes)
	})
	if errors.Is(err, provision.ErrWait) {
		return r.keepPlan(ctx)
	}
	if provision.KindOf(err) == provision.Conflict {
		return r.whyConflict(ctx, err)
	}
	if provision.KindOf(err) == provision.Denied {
		return refused{err}
	}
	if err != nil {
		return err
	}
	r.rec.Phase = phaseApplying
	return r.save()
}

// whyConflict is why the sidecar refuses a word about the run: it was cancelled
// this moment or it is not ours any more.
func (r *run) whyConflict(ctx context.Context, conflict error) error {
	if lease, err := r.renewOnce(ctx); err == nil && lease.Cancel != "" {
		return cancelled{lease.Cancel}
	}
	return fmt.Errorf("%w: %w", errLost, conflict)
}

// terraform is the run's directory for Terraform: one for plan and apply.
func (r *run) terraform() (*terraform.Run, error) {
	if r.opened != nil {
		return r.opened, nil
	}
	opened, err := r.w.Config.Terraform.Open(string(r.dir), r.dir.path(shimLink), r.redactor)
	if err != nil {
		return nil, err
	}
	r.opened = opened
	return opened, nil
}

// module is the folder of the run's implementation, fetched and checked.
func (r *run) module(ctx context.Context) (fs.FS, error) {
	digest := r.rec.Claim.OfferingDigest
	bundle, err := call(ctx, r, "fetch offering "+digest, func(ctx context.Context) ([]byte, error) {
		return r.w.Control.Bundle(ctx, digest)
	})
	if err != nil {
		return nil, err
	}
	if got, err := r.w.Digest(bundle); err != nil {
		return nil, err
	} else if got != digest {
		return nil, provision.Errorf(provision.Invalid, "the offering that was fetched has digest %s, not %s: it was changed on its way", got, digest)
	}
	dir := r.dir.path("bundle")
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("unpack offering %s: %w", digest, err)
	}
	if err := r.w.Unpack(bundle, dir); err != nil {
		return nil, fmt.Errorf("unpack offering %s: %w", digest, err)
	}
	module := filepath.Join(dir, "module", r.rec.Claim.Implementation)
	if info, err := os.Stat(module); err != nil || !info.IsDir() {
		return nil, provision.Errorf(provision.Invalid, "offering %s has no module for implementation %q, which environment %s uses",
			r.rec.Claim.Offering, r.rec.Claim.Implementation, r.rec.Claim.Environment.Name)
	}
	return os.DirFS(module), nil
}

// variables are the module's inputs: the request's parameters, and what Roadbed
// knows of the run. Those that were sealed are opened, and apart.
func (r *run) variables() (values, sealed map[string]any, err error) {
	claim := r.rec.Claim
	values, sealed = map[string]any{}, map[string]any{}
	for name, value := range claim.Parameters {
		secret, ok := provision.Sealed(value)
		if !ok {
			values[name] = value
			continue
		}
		if sealed[name], err = r.openParameter(name, secret); err != nil {
			return nil, nil, err
		}
	}
	known := map[string]any{
		"instance_id": claim.InstanceID, "short_id": claim.ShortID, "request_id": claim.RequestID,
		"environment": claim.Environment.Name, "account": claim.Environment.Account, "region": claim.Environment.Region,
		"tags": orEmpty(claim.Tags), "settings": orEmpty(claim.Environment.Settings),
	}
	if len(claim.Imports) > 0 {
		taken := map[string]string{}
		for _, i := range claim.Imports {
			taken[i.Address] = i.ID
		}
		known["imported"] = taken
	}
	if claim.CredentialsVersion > 0 { // 0 is of a sidecar that does not know it yet: the module's own first one
		known["credentials_version"] = claim.CredentialsVersion
	}
	values["roadbed"] = known
	return values, sealed, nil
}

func (r *run) openParameter(name string, sealed []byte) (any, error) {
	plain, err := r.w.Open(sealed)
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "parameter %s cannot be opened with this pool's key: ask again with a new value", name)
	}
	var opened any
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	if err := decoder.Decode(&opened); err != nil {
		return nil, fmt.Errorf("decode parameter %s", name) // the cause would quote it
	}
	return opened, nil
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// pullState puts the state to go on from into the run's directory.
func (r *run) pullState(ctx context.Context, tf *terraform.Run) error {
	claim := r.rec.Claim
	version, err := call(ctx, r, "fetch state", func(ctx context.Context) (provision.StateVersion, error) {
		return r.w.Control.State(ctx, claim.RunID, claim.Token)
	})
	switch {
	case provision.KindOf(err) == provision.NotFound:
		// The first run of its instance, if it is the sidecar that says so: to
		// take some proxy's 404 for it would make everything a second time.
		_, err := call(ctx, r, "look at the run", func(ctx context.Context) (provision.RunView, error) {
			return r.w.Control.View(ctx, claim.RunID)
		})
		return err
	case provision.KindOf(err) == provision.Conflict:
		return fmt.Errorf("%w: %w", errLost, err)
	case err != nil:
		return err
	}
	raw, err := r.w.Open(version.Sealed)
	if err != nil {
		return provision.Errorf(provision.Unavailable, "the state of instance %s cannot be opened with this pool's key: give the worker the key that it was sealed for", claim.InstanceID)
	}
	state, err := tf.WriteState(raw)
	if err != nil {
		return err
	}
	return r.dir.write(pushedFile, pushed{Serial: state.Serial})
}
