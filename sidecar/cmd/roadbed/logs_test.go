package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documentedFields are the fields of log lines that docs/logs.md describes.
func documentedFields(t testing.TB) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			fields[name[1]] = true
		}
	}
	return fields
}

// TestEveryFieldOfALogLineIsDocumented reads each call of a logger in the code.
func TestEveryFieldOfALogLineIsDocumented(t *testing.T) {
	t.Parallel()
	documented, used := documentedFields(t), map[string]bool{"time": true, "level": true, "msg": true}
	// What the door adds to "request answered" it puts together first.
	for _, name := range []string{"call_id", "route", "status", "duration_ms", "subject", "trace_id", "err"} {
		used[name] = true
	}
	files := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, field := range fieldsOf(call) {
				used[field] = true
				if !documented[field] {
					t.Errorf("%s: docs/logs.md does not describe the field %q", files.Position(call.Pos()), field)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(used) < 30 {
		t.Errorf("only %d fields were found: the calls of loggers are not seen", len(used))
	}
	for field := range documented {
		if !used[field] {
			t.Errorf("docs/logs.md describes the field %q, which no line has", field)
		}
	}
}

// fieldsOf are the names of the fields that a call gives to a logger; none when
// it is no such call.
func fieldsOf(call *ast.CallExpr) (fields []string) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	from, ok := map[string]int{
		"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2,
	}[method.Sel.Name]
	if !ok || !isLogger(method.X) {
		return nil
	}
	for i := from; i < len(call.Args); i += 2 {
		if literal, ok := call.Args[i].(*ast.BasicLit); ok {
			if name, err := strconv.Unquote(literal.Value); err == nil {
				fields = append(fields, name)
			}
		}
	}
	return fields
}

// isLogger goes by the name, which is log or Log everywhere.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log" || x.Name == "slog"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log" || x.Sel.Name == "Log"
	case *ast.CallExpr: // log.With(...).Info(...)
		method, ok := x.Fun.(*ast.SelectorExpr)
		return ok && method.Sel.Name == "With" && isLogger(method.X)
	}
	return false
}

// wantLogs holds every line that the road's processes have written to what
// docs/logs.md says, and wants those of a request to be found by its id.
func (r *road) wantLogs(requestID string) {
	r.t.Helper()
	documented := documentedFields(r.t)
	logs, _ := filepath.Glob(r.path("*.log"))
	supervisors, _ := filepath.Glob(r.path("*/runs/*/supervisor.jsonl"))
	said := map[string]bool{}
	for _, name := range append(logs, supervisors...) {
		text, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				r.t.Errorf("%s has a line that is no JSON: %s", filepath.Base(name), line)
				continue
			}
			for field := range fields {
				if !documented[field] {
					r.t.Errorf("%s has the field %q, which docs/logs.md does not describe: %s", filepath.Base(name), field, line)
				}
			}
			message, _ := fields["msg"].(string)
			if !slices.Contains([]any{"DEBUG", "INFO", "WARN", "ERROR"}, fields["level"]) || fields["time"] == nil || message == "" {
				r.t.Errorf("%s has a line without time, level or message: %s", filepath.Base(name), line)
			}
			if fields["level"] == "ERROR" {
				r.t.Errorf("%s calls for somebody on a road where nothing is wrong: %s", filepath.Base(name), line)
			}
			if fields["request_id"] == requestID {
				said[strings.TrimSuffix(filepath.Base(name), ".log")] = true
			}
		}
	}
	if !said["sidecar"] || !said["w1"] {
		r.t.Errorf("the request %s is found in the logs of %v, want the sidecar's and the worker's", requestID, said)
	}
}
