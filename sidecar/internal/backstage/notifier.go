package backstage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Notifier shows notifications to people in Backstage. It may be used from many
// goroutines.
type Notifier struct {
	discovery *Discovery
	signer    *Signer
	http      *http.Client
}

// NewNotifier finds the plugin by discovery and signs with signer.
func NewNotifier(discovery *Discovery, signer *Signer) *Notifier {
	return &Notifier{discovery: discovery, signer: signer, http: newHTTPClient()}
}

// Notify shows a notification. It blocks until Backstage has it, and is NotFound
// where Backstage has no notifications plugin. A repeat replaces what it showed.
func (n *Notifier) Notify(ctx context.Context, note provision.Notification) error {
	body, err := json.Marshal(map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": note.Recipients},
		"payload": map[string]any{
			"title": note.Title, "description": note.Description, "link": note.Link,
			"severity": note.Severity, "topic": note.Topic, "scope": note.Scope,
		},
	})
	if err != nil {
		return fmt.Errorf("encode the notification: %w", err)
	}
	base, err := n.discovery.URL("notifications")
	if err != nil {
		return err
	}
	token, err := n.signer.Token("notifications")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/notifications", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := n.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody)) // so that the connection is used again
	switch {
	case res.StatusCode == http.StatusNotFound:
		return provision.Errorf(provision.NotFound, "Backstage has no notifications plugin")
	case res.StatusCode >= 300:
		return fmt.Errorf("the notifications plugin answered %d", res.StatusCode)
	}
	return nil
}
