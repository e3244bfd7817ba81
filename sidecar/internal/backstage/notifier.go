package backstage

import (
	"context"
	"fmt"
	"net/http"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Notifier shows notifications to people in Backstage. It may be used from many
// goroutines.
type Notifier struct{ caller }

// NewNotifier finds the plugin by discovery and signs with signer.
func NewNotifier(discovery *Discovery, signer *Signer) *Notifier {
	return &Notifier{newCaller(discovery, signer)}
}

// Notify shows a notification. It blocks until Backstage has it, and is NotFound
// where Backstage has no notifications plugin. A repeat replaces what it showed.
func (n *Notifier) Notify(ctx context.Context, note provision.Notification) error {
	status, err := n.tell(ctx, "notifications", "/notifications", map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": note.Recipients},
		"payload": map[string]any{
			"title": note.Title, "description": note.Description, "link": note.Link,
			"severity": note.Severity, "topic": note.Topic, "scope": note.Scope,
		},
	})
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return provision.Errorf(provision.NotFound, "Backstage has no notifications plugin")
	case status >= http.StatusMultipleChoices:
		return fmt.Errorf("the notifications plugin answered %d", status)
	}
	return nil
}
