package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const submission = `{"offering":"postgres-database","parameters":{"database_name":"orders","environment":"dev","team_owner":"payments","cost_center":"CC-1234"}}`

func FuzzDecodeStrict(f *testing.F) {
	for _, seed := range []string{
		submission, `{"offering":"x","parameters":{"a":{"b":[1,2,{"c":null}]}},"source":{"task":"t"}}`, `{"offering":"x","offering":"y"}`,
		`{}`, `null`, `[]`, `{"a":`, `{"parameters":{"n":1e999}}`, strings.Repeat(`[`, 100), `{"\u0000":1}`, "{\"offering\":\"\xff\"}", `{"offering":"\ud800","parameters":{"a":"\ud83d\ude00","b":"\\ud800","c":"\\\ud83d\\ude00"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var out api.Submission
		err := httpapi.DecodeStrict(body, &out)
		if err != nil && provision.KindOf(err) != provision.Invalid {
			t.Errorf("%q: %v, want Invalid", body, err)
		}
		if err == nil && !json.Valid(body) {
			t.Errorf("%q was taken, and is not JSON", body)
		}
		replaced := strings.ContainsRune(fmt.Sprint(out), utf8.RuneError)
		if sent := strings.ToLower(string(body)); err == nil && replaced && !strings.Contains(sent, "\ufffd") && !strings.Contains(sent, `\ufffd`) {
			t.Errorf("%q was taken as %q", body, fmt.Sprint(out))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for b.Loop() {
		var out api.Submission
		if err := httpapi.DecodeStrict([]byte(submission), &out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoutes is a request through the whole door and what is behind it,
// without the network.
func BenchmarkRoutes(b *testing.B) {
	r := newRig(b, func(c *httpapi.Config) { c.Limits = httpapi.Limits{Reads: 1e6, Tries: 1e6, Asks: 1e6} })
	r.service.Judge.Rules = withoutBudgets{r.service.Judge.Rules} // many databases are beyond any team's budget
	token := r.token(ann)
	ask := func(b *testing.B, method, path, key, body string, want int) {
		req := httptest.NewRequest(method, httpapi.Base+path, strings.NewReader(body))
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
		rec := httptest.NewRecorder()
		r.server.ServeHTTP(rec, req)
		if rec.Code != want {
			b.Fatalf("%s %s answered %d: %s", method, path, rec.Code, rec.Body)
		}
	}
	request := r.submit("first")
	parameters := `{"parameters":` + strings.TrimSuffix(strings.SplitN(submission, `"parameters":`, 2)[1], "}") + `}`
	b.Run("estimate", func(b *testing.B) {
		for b.Loop() {
			ask(b, "POST", "/offerings/postgres-database/estimate", "", parameters, 200)
		}
	})
	b.Run("evaluate", func(b *testing.B) {
		for b.Loop() {
			ask(b, "POST", "/offerings/postgres-database/evaluate", "", parameters, 200)
		}
	})
	b.Run("read a request", func(b *testing.B) {
		for b.Loop() {
			ask(b, "GET", "/requests/"+request.Id.String(), "", "", 200)
		}
	})
	n := 0
	b.Run("submit", func(b *testing.B) {
		for b.Loop() {
			n++
			ask(b, "POST", "/requests", fmt.Sprintf("bench-%d", n), strings.Replace(submission, "orders", fmt.Sprintf("bench-%d", n), 1), 202)
		}
	})
	b.Run("refuse a body", func(b *testing.B) {
		for b.Loop() {
			ask(b, "POST", "/requests", "k", `{"offering":"x","parameters":{},"extra":1}`, 400)
		}
	})
}

// withoutBudgets are rules for which nothing is spent yet and nothing is too much.
type withoutBudgets struct{ provision.Rules }

func (withoutBudgets) Budgets(context.Context, []provision.Scope) ([]provision.Budget, error) {
	return nil, nil
}

func (r withoutBudgets) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	input.Balances = nil
	return r.Rules.Findings(ctx, input)
}
