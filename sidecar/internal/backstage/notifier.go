package backstage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	notifyAhead = 256              // events that wait to be told
	notifyPause = 10 * time.Minute // after Backstage has said that it has no notifications plugin
)

// Notifier tells people through Backstage's notifications that something waits
// for their approval. It is a help: what cannot be told is dropped, and they
// find it in their list of approvals.
type Notifier struct {
	discovery *Discovery
	signer    *Signer
	http      *http.Client
	log       *slog.Logger
	events    chan provision.Event
}

// NewNotifier finds the plugin by discovery and signs with signer.
func NewNotifier(discovery *Discovery, signer *Signer, log *slog.Logger) *Notifier {
	return &Notifier{discovery: discovery, signer: signer, http: newHTTPClient(), log: log, events: make(chan provision.Event, notifyAhead)}
}

// Hear takes committed events; it never blocks.
func (n *Notifier) Hear(events []provision.Event) {
	for _, e := range events {
		if e.Entity != "approval" || e.Verb != "requested" {
			continue
		}
		select {
		case n.events <- e:
		default:
			n.log.Warn("approvers not notified: too many wait to be", "request_id", e.SubjectID)
		}
	}
}

// Run tells what was heard until ctx ends, and then returns nil.
func (n *Notifier) Run(ctx context.Context) error {
	var pausedUntil time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-n.events:
			if time.Now().Before(pausedUntil) {
				continue
			}
			absent, err := n.tell(ctx, e)
			switch {
			case absent:
				pausedUntil = time.Now().Add(notifyPause)
				n.log.Info("Backstage has no notifications plugin; nobody is notified for a while")
			case err != nil && ctx.Err() == nil:
				n.log.Warn("approvers not notified", "request_id", e.SubjectID, "err", err)
			}
		}
	}
}

// tell sends one notification. absent says that there is no such plugin.
func (n *Notifier) tell(ctx context.Context, e provision.Event) (absent bool, err error) {
	needs, _ := e.Data["needed"].([]provision.ApprovalNeed)
	var people []string
	for _, need := range needs {
		people = append(people, need.People...)
	}
	slices.Sort(people)
	link := "/infrastructure/requests/" + e.SubjectID.String()
	body, err := json.Marshal(map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": slices.Compact(people)},
		"payload": map[string]any{
			"title":       fmt.Sprintf("%v in %s waits for your approval", e.Data["name"], e.Environment),
			"description": description(e), "link": link, "severity": "normal", "topic": "roadbed.approval",
			"scope": "roadbed:request:" + e.SubjectID.String(), // one notification a request, which moves
		},
	})
	if err != nil {
		return false, fmt.Errorf("encode the notification: %w", err)
	}
	base, err := n.discovery.URL("notifications")
	if err != nil {
		return false, err
	}
	token, err := n.signer.Token("notifications")
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/notifications", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := n.http.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody)) // so that the connection is used again
	switch {
	case res.StatusCode == http.StatusNotFound:
		return true, nil
	case res.StatusCode >= 300:
		return false, fmt.Errorf("the notifications plugin answered %d", res.StatusCode)
	}
	return false, nil
}

// description is who asks for what, at what price and how it would change.
func description(e provision.Event) string {
	text := fmt.Sprintf("%v asks for it (%v)", e.Data["requested_by"], e.Data["offering"])
	if ceiling, ok := e.Data["ceiling"].(provision.Money); ok {
		text += fmt.Sprintf(" at %s a month", ceiling)
	}
	if plan, ok := e.Data["plan"].([]provision.PlannedAction); ok {
		deletes := 0
		for _, action := range plan {
			if action.Action == "delete" || action.Action == "replace" {
				deletes++
			}
		}
		text += fmt.Sprintf("; %d changes", len(plan))
		if deletes > 0 {
			text += fmt.Sprintf(", %d of them delete something", deletes)
		}
	}
	return strings.TrimSpace(text + ".")
}
