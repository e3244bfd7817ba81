package notify

import (
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestDriftIsToldWithWhatDiffersAndWhatToDo(t *testing.T) {
	t.Parallel()
	about := subject{instance: &provision.Instance{Name: "orders", Owner: "group:default/payments", Offering: "postgres-database", Environment: "dev"}}
	link := "https://portal.example/catalog/dev/resource/orders.postgres-database/status"
	for verb, tt := range map[string]struct {
		data map[string]any
		want []string
	}{
		"detected": {map[string]any{"differences": []any{
			map[string]any{"address": "db.main", "kind": "changed", "attribute": "limit", "actual": 7},
			map[string]any{"address": "role.monitor", "kind": "missing"},
		}}, []string{"orders in dev is not as it was asked for", "limit of db.main is 7\nrole.monitor is gone\n", "Review it, adopt it, or revert it"}},
		"resolved":   {nil, []string{"orders in dev is as it was asked for again"}},
		"suppressed": {map[string]any{"by": "user:default/ann", "until": "2026-06-30T00:00:00Z", "reason": "load test"}, []string{"of orders in dev until 2026-06-30", "load test"}},
	} {
		m := describe(anEvent("drift", verb, tt.data), about, "https://portal.example/")
		for _, want := range tt.want {
			if said := m.title + "\n" + m.text; !strings.Contains(said, want) {
				t.Errorf("%s says %q, which lacks %q", verb, said, want)
			}
		}
		if m.link != link {
			t.Errorf("%s leads to %s, want the Status tab", verb, m.link)
		}
	}
}
