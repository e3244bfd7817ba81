package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// pushed is the newest state that the sidecar has of this run.
type pushed struct {
	Serial int64  `json:"serial"`
	Digest string `json:"digest,omitempty"` // of the plain bytes; empty for the state that the run began with
}

// pusher brings a run's state to the sidecar, sealed.
type pusher struct {
	dir    directory
	rec    record
	client Lifeline
	log    *slog.Logger
}

// follow pushes the state whenever it has changed, is whole and has grown in
// serial, until ctx ends. Terraform tells of a resource before it writes it, so
// it is the file that is watched, not the events. While the sidecar is away
// only the newest state waits.
func (p *pusher) follow(ctx context.Context) {
	wait := p.rec.Patience.Retry
	for {
		state, raw, ok := terraform.ReadState(p.dir.work())
		last, err := p.last()
		if err == nil && ok && state.Serial > last.Serial {
			// Not cut short by the end of ctx: it would only be pushed again.
			err = p.push(context.WithoutCancel(ctx), state, raw)
		}
		if err == nil {
			wait = p.rec.Patience.Retry
			if !pause(ctx, 200*time.Millisecond) {
				return
			}
			continue
		}
		if ctx.Err() == nil {
			p.log.Warn("state not pushed; it is tried again", "err", err)
		}
		if !pause(ctx, wait) {
			return
		}
		wait = min(wait*2, p.rec.Patience.RetryMost)
	}
}

// finish pushes the state that Terraform has left, unless the sidecar has
// exactly it from this run. It tries until ctx ends or the sidecar keeps saying
// that there is no such run, which is NotFound.
func (p *pusher) finish(ctx context.Context) error {
	var err error
	var unknown unknownRun
	done := retry(ctx, p.rec.Patience.Retry, p.rec.Patience.RetryMost, func(ctx context.Context) bool {
		var last pushed
		if last, err = p.last(); err != nil {
			return true
		}
		state, raw, ok := terraform.ReadState(p.dir.work())
		if !ok || last.Digest == digest(raw) {
			return true
		}
		if err = p.push(ctx, state, raw); err == nil {
			return true
		}
		p.log.Warn("state not pushed; it is tried again", "err", err)
		return unknown.is(err, p.rec.Patience)
	})
	if !done {
		return fmt.Errorf("push the state of run %s: %w", p.rec.Claim.RunID, context.Cause(ctx))
	}
	return err
}

// unknownRun decides when a sidecar that says NotFound is believed: not at
// once, because a proxy says so too while the sidecar is being replaced.
type unknownRun struct{ since time.Time }

func (u *unknownRun) is(err error, patience Patience) bool {
	if provision.KindOf(err) != provision.NotFound {
		u.since = time.Time{}
		return false
	}
	if u.since.IsZero() {
		u.since = time.Now()
	}
	return time.Since(u.since) > 6*patience.RetryMost
}

func (p *pusher) last() (pushed, error) {
	last := pushed{Serial: -1}
	_, err := p.dir.read(pushedFile, &last)
	return last, err
}

func (p *pusher) push(ctx context.Context, state terraform.State, raw []byte) error {
	sealed, err := seal(p.rec.Claim.StateRecipients, raw)
	if err != nil {
		return err
	}
	call, done := context.WithTimeout(ctx, p.rec.Patience.Call)
	defer done()
	head, err := p.client.PushState(call, p.rec.Claim.Token, provision.StateVersion{
		InstanceID: p.rec.Claim.InstanceID, RunID: p.rec.Claim.RunID, Fence: p.rec.Claim.Fence,
		Serial: state.Serial, Lineage: state.Lineage, Sealed: sealed,
	})
	if err != nil {
		return fmt.Errorf("push state %d of run %s: %w", state.Serial, p.rec.Claim.RunID, err)
	}
	if !head {
		p.log.Warn("state kept aside: another run has a newer token", "serial", state.Serial)
	}
	return p.dir.write(pushedFile, pushed{Serial: state.Serial, Digest: digest(raw)})
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// seal encrypts for age public keys.
func seal(keys []string, plain []byte) ([]byte, error) {
	recipients, err := age.ParseRecipients(strings.NewReader(strings.Join(keys, "\n")))
	if err != nil {
		return nil, fmt.Errorf("read the keys to seal state for: %w", err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipients...)
	if err != nil {
		return nil, fmt.Errorf("seal state: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("seal state: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal state: %w", err)
	}
	return sealed.Bytes(), nil
}
