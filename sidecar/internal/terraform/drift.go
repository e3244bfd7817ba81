package terraform

import (
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Check finds out whether what there is still is what was asked for: it is an
// ordinary plan of unchanged inputs, and what Terraform found changed behind its
// back. Both are without secrets, and both are empty when nothing is to be done.
// A refresh-only plan would not do: it tells of what a provider merely spells
// differently. Nothing is locked or written but the plan, which is for reading
// alone. It fails as Plan does.
func (r *Run) Check(ctx context.Context) (planned, drifted []provision.Change, err error) {
	failure := &Failure{Phase: "plan"}
	different, err := r.planner.PlanJSON(ctx, lineFunc(func(line []byte) {
		if event := ParseEvent(line); event.Failed() {
			failure.Diagnostics = append(failure.Diagnostics, r.redact(*event.Diagnostic))
		}
	}), tfexec.Out(PlanFile), tfexec.Lock(false))
	r.planner.SetStdout(io.Discard)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("plan: %w", context.Cause(ctx))
		}
		failure.cause = r.said(err)
		return nil, nil, failure
	}
	if !different {
		return nil, nil, nil
	}
	plan, err := r.planner.ShowPlanFile(ctx, PlanFile, tfexec.JSONNumber(true))
	if err != nil {
		return nil, nil, fmt.Errorf("read the plan: %w", r.said(err))
	}
	if planned, err = r.changes(plan); err != nil {
		return nil, nil, err
	}
	var unmarked Redactor
	unmarked.Add(without(sensitiveValues(plan), r.open))
	unmarked.inherit(&r.secret)
	return planned, changesOf(&tfjson.Plan{ResourceChanges: plan.ResourceDrift}, &unmarked), nil
}
