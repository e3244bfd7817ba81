package worker

import (
	"context"
	"errors"
	"slices"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// importMade takes into state what runs that were cut short have made and state
// does not know, and keeps that state with the sidecar before anything is
// planned. What is not there any more, or lives in state alone, is made anew.
func (r *run) importMade(ctx context.Context, tf *terraform.Run) error {
	state, _, _ := terraform.ReadState(r.dir.work())
	imported := 0
	for _, made := range r.rec.Claim.Made {
		if slices.Contains(state.Addresses, made.Address) || terraform.InStateAlone(made.Address) {
			continue
		}
		id := made.ResourceID
		if made.SealedID != nil {
			opened, err := r.w.Open(made.SealedID)
			if err != nil {
				return provision.Errorf(provision.Unavailable, "what %s is known by cannot be opened with this pool's key: give the worker the key that it was sealed for", made.Address)
			}
			id = string(opened)
		}
		ok, err := tf.Import(ctx, made.Address, id)
		if err != nil {
			return err
		}
		if !ok {
			r.reporter.say(0, made.Address+" was made by an earlier run and cannot be imported: it is not there any more, or its provider cannot. It is made anew.")
			continue
		}
		r.reporter.say(0, made.Address+" was made by an earlier run and is imported.")
		imported++
	}
	if imported == 0 {
		return nil
	}
	state, raw, ok := terraform.ReadState(r.dir.work())
	if !ok {
		return errors.New("read the state with what was imported: there is none")
	}
	push := &pusher{dir: r.dir, rec: r.rec, client: r.w.Control, log: r.log}
	_, err := call(ctx, r, "keep the state with what was imported", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, push.push(ctx, state, raw)
	})
	return err
}
