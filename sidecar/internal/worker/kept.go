package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// keptPlan is a saved plan with all that it was made of, so that one that does
// not fit any more is known before it is applied. It is sealed for the pool.
type keptPlan struct {
	Plan      []byte `json:"plan"`
	Terraform string `json:"terraform"` // the version that made it; no other can read it
	Serial    int64  `json:"serial"`    // of the state that it goes on from; 0 when there was none
	Lineage   string `json:"lineage"`
	Variables string `json:"variables"` // digest of the module's inputs
}

// errWaits ends planning: people must approve the plan first, and it is kept.
var errWaits = errors.New("the plan waits for approval")

// keepPlan seals the plan and hands it to the sidecar, which ends the run.
func (r *run) keepPlan(ctx context.Context) error {
	claim := r.rec.Claim
	kept, err := r.surroundings()
	if err != nil {
		return err
	}
	if kept.Plan, err = os.ReadFile(filepath.Join(r.dir.work(), terraform.PlanFile)); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	plain, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	sealed, err := seal(claim.StateRecipients, plain)
	if err != nil {
		return err
	}
	r.reporter.say(0, "The plan waits for approval.")
	_, err = call(ctx, r, "keep the plan", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.w.Control.KeepPlan(ctx, claim.RunID, claim.Token, sealed)
	})
	if provision.KindOf(err) == provision.Conflict {
		// Kept, and the answer was lost; or cancelled this moment, or not ours any more.
		view, viewed := call(ctx, r, "look at the run", func(ctx context.Context) (provision.RunView, error) {
			return r.w.Control.View(ctx, claim.RunID)
		})
		if viewed == nil && view.State == provision.RunEnded && view.RequestState == provision.AwaitingApproval {
			return errWaits
		}
		return r.whyConflict(ctx, err)
	}
	if err != nil {
		return err
	}
	return errWaits
}

// restorePlan puts the plan that was approved into the run's directory and
// answers its changes. stale says why it cannot be used; then it is to be
// planned anew, and what comes of that is held against what was approved.
func (r *run) restorePlan(ctx context.Context, tf *terraform.Run) (changes []provision.Change, stale string, err error) {
	claim := r.rec.Claim
	sealed, err := call(ctx, r, "fetch the plan", func(ctx context.Context) ([]byte, error) {
		return r.w.Control.KeptPlan(ctx, claim.RunID, claim.Token)
	})
	switch provision.KindOf(err) {
	case provision.NotFound:
		return nil, "it is not kept any more", nil
	case provision.Conflict:
		return nil, "", fmt.Errorf("%w: %w", errLost, err)
	}
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(sealed)
	if hex.EncodeToString(sum[:]) != claim.PlanDigest {
		return nil, "it is not the one that was approved", nil
	}
	plain, err := r.w.Open(sealed)
	if err != nil {
		return nil, "it cannot be opened with this pool's key", nil
	}
	var kept keptPlan
	if err := json.Unmarshal(plain, &kept); err != nil {
		return nil, "it cannot be read", nil
	}
	now, err := r.surroundings()
	switch {
	case err != nil:
		return nil, "", err
	case kept.Terraform != now.Terraform:
		return nil, fmt.Sprintf("it was made by Terraform %s, and here is %s", kept.Terraform, now.Terraform), nil
	case kept.Serial != now.Serial || kept.Lineage != now.Lineage:
		return nil, "the state has moved since", nil
	case kept.Variables != now.Variables:
		return nil, "the environment's settings have changed since", nil
	}
	path := filepath.Join(r.dir.work(), terraform.PlanFile)
	if err := os.WriteFile(path, kept.Plan, 0o600); err != nil {
		return nil, "", fmt.Errorf("write the plan: %w", err)
	}
	if changes, err = tf.SavedPlan(ctx); err == nil {
		return changes, "", nil
	}
	if ctx.Err() != nil {
		return nil, "", err
	}
	return nil, "Terraform cannot read it: " + err.Error(), os.Remove(path)
}

// surroundings is what a plan in the run's directory is made of, without it.
func (r *run) surroundings() (keptPlan, error) {
	variables, err := os.ReadFile(filepath.Join(r.dir.work(), terraform.VariablesFile))
	if err != nil {
		return keptPlan{}, fmt.Errorf("read the module's variables: %w", err)
	}
	sum := sha256.Sum256(variables)
	kept := keptPlan{Terraform: r.rec.Version, Variables: hex.EncodeToString(sum[:])}
	if state, _, ok := terraform.ReadState(r.dir.work()); ok {
		kept.Serial, kept.Lineage = state.Serial, state.Lineage
	}
	return kept, nil
}
