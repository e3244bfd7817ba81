package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// client is Control, Jobs and Reports over HTTP.
type client struct{ url string }

func (c client) call(ctx context.Context, name string, in message) (message, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return message{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/"+name, bytes.NewReader(body))
	if err != nil {
		return message{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return message{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return message{}, err
	}
	var out message
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil {
		return message{}, err
	}
	if out.Error != "" {
		return out, &provision.Error{Kind: out.Kind, Message: out.Error, Findings: out.Findings}
	}
	return out, nil
}

func (c client) Claim(ctx context.Context, id uuid.UUID) (provision.Claim, error) {
	out, err := c.call(ctx, "claim", message{Run: id})
	if err != nil {
		return provision.Claim{}, err
	}
	return *out.Claim, nil
}

func (c client) Renew(ctx context.Context, id uuid.UUID, token string) (provision.Lease, error) {
	out, err := c.call(ctx, "renew", message{Run: id, Token: token})
	if err != nil {
		return provision.Lease{}, err
	}
	return *out.Lease, nil
}

func (c client) Release(ctx context.Context, id uuid.UUID, token string) error {
	_, err := c.call(ctx, "release", message{Run: id, Token: token})
	return err
}

func (c client) Plan(ctx context.Context, id uuid.UUID, token string, changes []provision.Change) error {
	out, err := c.call(ctx, "plan", message{Run: id, Token: token, Changes: changes})
	if err == nil && out.Wait {
		return provision.ErrWait
	}
	return err
}

func (c client) KeepPlan(ctx context.Context, id uuid.UUID, token string, sealed []byte) error {
	_, err := c.call(ctx, "keep", message{Run: id, Token: token, Sealed: sealed})
	return err
}

func (c client) KeptPlan(ctx context.Context, id uuid.UUID, token string) ([]byte, error) {
	out, err := c.call(ctx, "kept", message{Run: id, Token: token})
	return out.Sealed, err
}

func (c client) View(ctx context.Context, id uuid.UUID) (provision.RunView, error) {
	out, err := c.call(ctx, "view", message{Run: id})
	if err != nil {
		return provision.RunView{}, err
	}
	return *out.View, nil
}

func (c client) State(ctx context.Context, id uuid.UUID, token string) (provision.StateVersion, error) {
	out, err := c.call(ctx, "state", message{Run: id, Token: token})
	if err != nil {
		return provision.StateVersion{}, err
	}
	return *out.Version, nil
}

func (c client) PushState(ctx context.Context, token string, v provision.StateVersion) (bool, error) {
	_, err := c.call(ctx, "push", message{Run: v.RunID, Token: token, Version: &v})
	return true, err
}

func (c client) ClaimCheck(ctx context.Context, _ bool) (*provision.Check, error) {
	out, err := c.call(ctx, "claim check", message{})
	return out.Check, err
}

func (c client) CheckedState(ctx context.Context, id uuid.UUID, token string) (provision.StateVersion, error) {
	out, err := c.call(ctx, "checked state", message{Run: id, Token: token})
	if err != nil {
		return provision.StateVersion{}, err
	}
	return *out.Version, nil
}

func (c client) FinishCheck(ctx context.Context, id uuid.UUID, token string, found provision.Checked) error {
	_, err := c.call(ctx, "finish check", message{Run: id, Token: token, Checked: &found})
	return err
}

func (c client) Bundle(ctx context.Context, _ string) ([]byte, error) {
	out, err := c.call(ctx, "bundle", message{})
	return out.Bundle, err
}

func (c client) Next(ctx context.Context) (Delivery, error) {
	out, err := c.call(ctx, "next", message{})
	if err != nil {
		return Delivery{}, err
	}
	return Delivery{
		Job: *out.Job,
		Ack: func(context.Context) error { return nil },
		Nak: func(ctx context.Context) error { _, err := c.call(ctx, "nak", message{Job: out.Job}); return err },
	}, nil
}

func (c client) PublishReport(ctx context.Context, report provision.Report) error {
	_, err := c.call(ctx, "report", message{Run: report.RunID, Report: &report})
	return err
}

func (c client) PublishLogs(ctx context.Context, lines []provision.LogLine) error {
	_, err := c.call(ctx, "logs", message{Lines: lines})
	return err
}
