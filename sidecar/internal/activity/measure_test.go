package activity_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/activity"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestPrometheusIsAskedWithQuotedArgumentsAndNoSeriesIsNoReading(t *testing.T) {
	t.Parallel()
	var asked string
	result := `[{"metric":{},"value":[1700000000,"4.5"]}]`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Get("query")
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":%s}}`, result)
	}))
	defer server.Close()
	rule := provision.ActivityRule{
		Kind: "prometheus", Connection: "PROMETHEUS_URL", Query: `avg_over_time(cpu{instance=$1,other=$2}[1d])`, Arguments: []string{"id", "credentials.database"},
	}
	outputs := map[string]any{"id": `a"} or vector(0) or cpu{x="$2`, "credentials": map[string]any{"database": "orders"}}
	variables := map[string]string{"PROMETHEUS_URL": server.URL + "/"}
	got, err := activity.Measure(t.Context(), rule, provision.Environment{}, outputs, variables)
	if err != nil || got.Current != 4.5 || got.Total != nil {
		t.Errorf("a reading is %+v (%v)", got, err)
	}
	if want := `avg_over_time(cpu{instance="a\"} or vector(0) or cpu{x=\"$2",other="orders"}[1d])`; asked != want {
		t.Errorf("Prometheus is asked\n%s, want\n%s", asked, want)
	}
	for name, answer := range map[string]string{
		"no series": `[]`, "two series": `[{"value":[1,"1"]},{"value":[1,"2"]}]`, "no number": `[{"value":[1,"NaN"]}]`,
	} {
		result = answer
		if got, err := activity.Measure(t.Context(), rule, provision.Environment{}, outputs, variables); provision.KindOf(err) != provision.Unavailable {
			t.Errorf("%s is the reading %+v (%v), want unavailable", name, got, err)
		}
	}
	if _, err := activity.Measure(t.Context(), rule, provision.Environment{}, map[string]any{}, variables); err == nil || !strings.Contains(err.Error(), "no output id") {
		t.Errorf("without its output: %v", err)
	}
	if _, err := activity.Measure(t.Context(), rule, provision.Environment{}, outputs, nil); err == nil || !strings.Contains(err.Error(), "no PROMETHEUS_URL") {
		t.Errorf("without a server: %v", err)
	}
}

func TestSQLReadsOneRowAndChangesNothing(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"DSN": testkit.Database(t)}
	measure := func(query string) (provision.Reading, error) {
		rule := provision.ActivityRule{Kind: "sql", Connection: "DSN", Query: query, Arguments: []string{"name"}}
		return activity.Measure(t.Context(), rule, provision.Environment{}, map[string]any{"name": "orders"}, variables)
	}
	got, err := measure(`SELECT 7::float8 AS total, 2::float8 AS current, $1::text AS since`)
	if err != nil || got.Total == nil || *got.Total != 7 || got.Current != 2 || got.Since != "orders" {
		t.Errorf("a reading is %+v (%v)", got, err)
	}
	if got, err := measure(`SELECT NULL::float8 AS total, 2::float8 AS current WHERE $1 <> ''`); err != nil || got.Total != nil || got.Current != 2 {
		t.Errorf("without a count a reading is %+v (%v)", got, err)
	}
	for name, query := range map[string]string{
		"no row": `SELECT 1::float8 AS total WHERE $1 = ''`, "nothing on record": `SELECT NULL::float8 AS total WHERE $1 <> ''`,
		"a write": `CREATE TABLE left_behind AS SELECT $1::text`,
	} {
		if got, err := measure(query); provision.KindOf(err) != provision.Unavailable {
			t.Errorf("%s is the reading %+v (%v), want unavailable", name, got, err)
		}
	}
}
