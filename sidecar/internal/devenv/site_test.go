package devenv_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/devenv"
)

func TestSite(t *testing.T) {
	open := func(dir string) *devenv.Site {
		site, err := devenv.OpenSite(dir)
		if err != nil {
			t.Fatal(err)
		}
		return site
	}
	t.Run("keeps its addresses and secrets", func(t *testing.T) {
		dir := t.TempDir()
		if diff := cmp.Diff(open(dir), open(dir)); diff != "" {
			t.Errorf("opened again it differs (-first +second):\n%s", diff)
		}
	})
	t.Run("takes one process at a time and names it", func(t *testing.T) {
		dir := t.TempDir()
		site := open(dir)
		unlock, err := site.Lock()
		if err != nil {
			t.Fatal(err)
		}
		if _, running := site.Running(); !running {
			t.Error("it is locked and says that nothing runs")
		}
		if _, err := devenv.OpenSite(dir); err == nil || !strings.Contains(err.Error(), "already runs") {
			t.Errorf("a second OpenSite answered %v, want a refusal", err)
		}
		unlock()
		if _, running := site.Running(); running {
			t.Error("it is unlocked and says that something runs")
		}
	})
}
