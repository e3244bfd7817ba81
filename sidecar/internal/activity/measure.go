package activity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// patience is how long one measure may take.
const patience = 15 * time.Second

// Measure takes one reading of an instance of an environment whose outputs are
// given, secret ones included. variables are what the worker may reach things
// with. It blocks for at most patience and changes nothing. What goes wrong is
// Unavailable or Invalid and fit to be read by the instance's owner.
func Measure(ctx context.Context, rule provision.ActivityRule, environment provision.Environment, outputs map[string]any, variables map[string]string) (provision.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	server := variables[rule.Connection]
	if server == "" && rule.Kind != "cloudwatch" {
		return provision.Reading{}, provision.Errorf(provision.Invalid, "the worker has no %s to measure activity with: pass it to the worker as it is passed to providers", rule.Connection)
	}
	arguments := make([]string, len(rule.Arguments))
	for i, path := range rule.Arguments {
		value, ok := find(outputs, path)
		if !ok {
			return provision.Reading{}, provision.Errorf(provision.Invalid, "the instance has no output %s to measure its activity by", path)
		}
		arguments[i] = value
	}
	switch rule.Kind {
	case "sql":
		return bySQL(ctx, server, rule.Query, arguments)
	case "prometheus":
		return byPrometheus(ctx, server, rule.Query, arguments)
	case "cloudwatch":
		return byCloudWatch(ctx, environment, rule.Query, arguments)
	}
	return provision.Reading{}, provision.Errorf(provision.Invalid, "this worker cannot measure activity by %q", rule.Kind)
}

// find is the text of an output, or of a member of it.
func find(outputs map[string]any, path string) (string, bool) {
	var value any = outputs
	for _, name := range strings.Split(path, ".") {
		members, _ := value.(map[string]any)
		value = members[name]
	}
	switch value.(type) {
	case string, bool, json.Number, float64:
		return fmt.Sprint(value), true
	}
	return "", false
}

// bySQL reads the one row that the query gives: its columns are total, current
// and since. It is run in a transaction that only reads.
func bySQL(ctx context.Context, dsn, query string, arguments []string) (provision.Reading, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return provision.Reading{}, away("the server that activity is measured on cannot be reached", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return provision.Reading{}, away("the server that activity is measured on did not answer", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it has only read
	given := make([]any, len(arguments))
	for i, a := range arguments {
		given[i] = a
	}
	type row struct {
		Total   pgtype.Float8 `db:"total"`
		Current pgtype.Float8 `db:"current"`
		Since   pgtype.Text   `db:"since"`
	}
	rows, _ := tx.Query(ctx, query, given...) // pgx returns the error again from collecting
	read, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[row])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return provision.Reading{}, provision.Errorf(provision.Unavailable, "the server that activity is measured on knows nothing of the instance")
	case err != nil:
		return provision.Reading{}, away("activity could not be read", err)
	case !read.Total.Valid && !read.Current.Valid:
		return provision.Reading{}, provision.Errorf(provision.Unavailable, "there is no activity on record")
	}
	reading := provision.Reading{Current: read.Current.Float64, Since: read.Since.String}
	if read.Total.Valid {
		reading.Total = &read.Total.Float64
	}
	return reading, nil
}

// argument is $1, $2, … in a query to Prometheus.
var argument = regexp.MustCompile(`\$([1-9])`)

// byPrometheus reads the value of a query that has exactly one series. No series
// is no reading: it must not pass for none used.
func byPrometheus(ctx context.Context, base, query string, arguments []string) (provision.Reading, error) {
	query = argument.ReplaceAllStringFunc(query, func(name string) string {
		n, _ := strconv.Atoi(name[1:]) // the pattern has seen to it
		if n > len(arguments) {
			return name
		}
		return strconv.Quote(arguments[n-1]) // PromQL's strings are Go's
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/api/v1/query?"+url.Values{"query": {query}}.Encode(), nil)
	if err != nil {
		return provision.Reading{}, away("the address of Prometheus cannot be used", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return provision.Reading{}, away("Prometheus cannot be reached", err)
	}
	defer response.Body.Close()
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer); err != nil || answer.Status != "success" {
		return provision.Reading{}, away(fmt.Sprintf("Prometheus answered %d and no value", response.StatusCode), err)
	}
	if len(answer.Data.Result) != 1 {
		return provision.Reading{}, provision.Errorf(provision.Unavailable, "Prometheus has %d series of the instance's activity; it takes exactly one", len(answer.Data.Result))
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value != value || value < 0 {
		return provision.Reading{}, provision.Errorf(provision.Unavailable, "Prometheus has no number for the instance's activity")
	}
	return provision.Reading{Current: value}, nil
}

// away is what owners read of a fault; the cause, which may name hosts, is for
// the worker's log alone.
func away(message string, cause error) error {
	return fmt.Errorf("%w: %v", provision.Errorf(provision.Unavailable, "%s", message), cause)
}
