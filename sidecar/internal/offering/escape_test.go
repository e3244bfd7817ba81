package offering_test

import (
	"strings"
	"testing"

	templates "roadbed.dev/roadbed/backstage-templates"
	"roadbed.dev/roadbed/sidecar/internal/offering"
)

func TestAnOfferingSaysHowToGetWhatItDoesNotDo(t *testing.T) {
	t.Parallel()
	tree := shipped(t)
	ownLoaded, _, err := offering.Load(templates.FS, "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	text := string(tree["postgres-database/offering.yaml"].Data)
	from, to := strings.Index(text, "escape_hatch:"), strings.Index(text, "parameters:")
	tree["postgres-database/offering.yaml"].Data = []byte(text[:from] + text[to:])
	silentLoaded, _, err := offering.Load(tree, "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	own, silent := ownLoaded.Offering, silentLoaded.Offering
	if !strings.Contains(own.EscapeHatch, "#platform-team") || !strings.Contains(silent.EscapeHatch, "platform-team") || silent.EscapeHatch == own.EscapeHatch {
		t.Errorf("one that says it has %q and one that does not %q; want its own words and a default", own.EscapeHatch, silent.EscapeHatch)
	}
	form, err := offering.Template(own)
	if err != nil {
		t.Fatal(err)
	}
	page := string(offering.Reference(own))
	if !strings.Contains(string(form), "Does this not fit? Another engine") || !strings.Contains(page, "## When it does not fit\n\n"+own.EscapeHatch) {
		t.Errorf("the form or the page does not say what to do when it does not fit")
	}
	tree["postgres-database/offering.yaml"].Data = []byte(text[:from] + "escape_hatch: " + strings.Repeat("x", 1001) + "\n" + text[to:])
	if _, _, err := offering.Load(tree, "postgres-database"); err == nil || !strings.Contains(err.Error(), "escape_hatch has 1001 characters") {
		t.Errorf("one that is too long: %v, want it refused", err)
	}
}
