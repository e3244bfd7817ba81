package policy_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// bundleServer serves one bundle as OPA's bundle API has it.
type bundleServer struct {
	*httptest.Server
	archive             atomic.Pointer[[]byte]
	status              atomic.Int32 // instead of an answer, unless it is 0
	sent, notModified   atomic.Int32
	authorization, mode atomic.Value
}

func serveBundle(t *testing.T, archive []byte) *bundleServer {
	t.Helper()
	s := &bundleServer{}
	s.archive.Store(&archive)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.authorization.Store(r.Header.Get("Authorization"))
		s.mode.Store(r.Header.Get("Prefer"))
		if status := s.status.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		archive := *s.archive.Load()
		etag := `"` + digestOf(archive) + `"`
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			s.notModified.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		s.sent.Add(1)
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(archive) // who hung up fails the test by what it did not get
	}))
	t.Cleanup(s.Close)
	return s
}

// serve replaces what is served.
func (s *bundleServer) serve(archive []byte) { s.archive.Store(&archive) }

func archiveOf(t *testing.T, fsys fs.FS, o policy.ArchiveOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := policy.WriteArchive(&out, fsys, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// edited is the built-in policies in a folder without their tests, with one change.
func edited(t *testing.T, file, old, new string) fs.FS {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	removeTests(t, dir)
	w := watched{t: t, dir: dir}
	w.write(file, old, new)
	return os.DirFS(dir)
}

func builtIn(t *testing.T) *policy.Bundle {
	t.Helper()
	bundle, err := policy.Load(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func newService(t *testing.T, c policy.ServiceConfig) (*policy.Service, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	c.Log = slog.New(slog.NewJSONHandler(log, nil))
	return policy.NewService(c), log
}

func poll(t *testing.T, s *policy.Service) bool {
	t.Helper()
	replaced, err := s.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return replaced
}

func denied(findings []provision.Finding) bool {
	for _, f := range findings {
		if f.Level == provision.LevelDeny {
			return true
		}
	}
	return false
}

// pack writes a folder as OPA's own library does: data in one data.json.
func pack(t *testing.T, dir string) []byte { return packUnder(t, dir, "/") }

// packUnder is pack with the rules in a folder, as when `opa build` is given one.
func packUnder(t *testing.T, dir, under string) []byte {
	t.Helper()
	bundle := opa.Bundle{Data: map[string]any{}}
	bundle.Manifest.Init()
	roots := []string{"roadbed"}
	files, _ := filepath.Glob("../../../policies/data/*.yaml") // the pattern is well formed
	for _, file := range files {
		roots = append(roots, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	bundle.Manifest.Roots = &roots
	if text, err := os.ReadFile(filepath.Join(dir, ".manifest")); err == nil {
		roots = roots[:1]
		if !strings.Contains(string(text), `["roadbed"]`) {
			t.Fatalf("unknown manifest %s", text)
		}
	}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		switch {
		case err != nil:
			return err
		case filepath.Ext(name) == ".rego" && !strings.HasSuffix(name, "_test.rego"):
			bundle.Modules = append(bundle.Modules, opa.ModuleFile{Path: under + inside, URL: under + inside, Raw: text})
		case filepath.Ext(name) == ".yaml" && strings.HasPrefix(inside, "data/"):
			read, err := loader.NewFileLoader().WithProcessAnnotation(true).Filtered([]string{name}, nil)
			if err != nil {
				return err
			}
			bundle.Data[strings.TrimSuffix(filepath.Base(name), ".yaml")] = read.Documents
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := opa.Write(&out, bundle); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func newKeyPair(t *testing.T) (private, public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: privateDER}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
}
