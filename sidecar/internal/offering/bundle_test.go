package offering_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func open(t *testing.T, files map[string]string) (*offering.Catalog, provision.Offering) {
	t.Helper()
	catalog, err := offering.Open(folder("postgres-database", files), nil)
	if err != nil {
		t.Fatal(err)
	}
	return catalog, catalog.Offerings()[0]
}

func TestABundleHoldsTheContractAndTheModulesAlone(t *testing.T) {
	files := map[string]string{
		"offering.yaml": document(t), "README.md": "read", "template.yaml": "form", "examples/a.yaml": "a",
		"module/local/main.tf": "# main", "module/local/.terraform.lock.hcl": "# lock", "module/local/sub/x.tf": "# x",
		"module/local/terraform.tfstate": "{}", "module/local/.terraform/providers/p": "binary",
		"module/local/.main.tf.swp": "editor",
	}
	catalog, o := open(t, files)
	bundle, err := catalog.Bundle(o.Digest)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "unpacked")
	if err := offering.Unpack(bundle, dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		part := name == "offering.yaml" || strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".hcl")
		if part != (err == nil) || part && string(got) != text {
			t.Errorf("%s = %q, %v; want it there: %t", name, got, err, part)
		}
	}
	if got, err := offering.BundleDigest(bundle); err != nil || got != o.Digest {
		t.Errorf("digest of the bundle = %s, %v; want %s", got, err, o.Digest)
	}
	read, _, err := offering.Load(os.DirFS(filepath.Dir(dir)), filepath.Base(dir))
	if err != nil || read.Offering.Digest != o.Digest || len(read.Offering.Implementations) != 1 {
		t.Errorf("offering from the bundle = %s %v, %v", read.Offering.Digest, read.Offering.Implementations, err)
	}
	if err := offering.Unpack(bundle, dir); err == nil {
		t.Error("unpacking over files that are there worked")
	}
}

func TestADigestNamesExactlyOneContent(t *testing.T) {
	files := map[string]string{"offering.yaml": document(t), "module/local/main.tf": "# a"}
	catalog, first := open(t, files)
	again, same := open(t, files)
	if first.Digest != same.Digest {
		t.Errorf("same files, digests %s and %s", first.Digest, same.Digest)
	}
	a, _ := catalog.Bundle(first.Digest)
	b, _ := again.Bundle(same.Digest)
	if !bytes.Equal(a, b) {
		t.Error("same files, different bundles")
	}
	files["README.md"] = "new"
	if _, o := open(t, files); o.Digest != first.Digest {
		t.Error("a README changed the digest")
	}
	files["module/local/main.tf"] = "# b"
	if _, o := open(t, files); o.Digest == first.Digest {
		t.Error("a changed module kept the digest")
	}
	if _, err := catalog.Bundle("sha256:none"); provision.KindOf(err) != provision.NotFound {
		t.Errorf("an unknown digest: err = %v, want NotFound", err)
	}
}

func TestABundleThatReachesOutIsRefused(t *testing.T) {
	file := func(name string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}
	}
	tests := map[string][]tar.Header{
		"a climbing path":         {file("../evil")},
		"a path that climbs late": {file("module/../../evil")},
		"an absolute path":        {file("/etc/evil")},
		"a backslash":             {file(`module\evil`)},
		"a symbolic link":         {{Name: "module", Typeflag: tar.TypeSymlink, Linkname: "/etc"}},
		"a hard link":             {{Name: "module", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"a device":                {{Name: "null", Typeflag: tar.TypeChar}},
		"the same file twice":     {file("a"), file("a")},
		"a huge file":             {{Name: "huge", Typeflag: tar.TypeReg, Size: 9 << 20, Mode: 0o644}},
	}
	for name, headers := range tests {
		t.Run(name, func(t *testing.T) {
			var buffer bytes.Buffer
			zipped := gzip.NewWriter(&buffer)
			archive := tar.NewWriter(zipped)
			for _, header := range headers {
				if err := archive.WriteHeader(&header); err != nil {
					t.Fatal(err)
				}
				if _, err := archive.Write(make([]byte, header.Size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := archive.Close(); err != nil {
				t.Fatal(err)
			}
			if err := zipped.Close(); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "unpacked")
			err := offering.Unpack(buffer.Bytes(), dir)
			if provision.KindOf(err) != provision.Invalid {
				t.Errorf("err = %v, want Invalid", err)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("something was written")
			}
		})
	}
	if err := offering.Unpack([]byte("no archive"), t.TempDir()); provision.KindOf(err) != provision.Invalid {
		t.Errorf("no archive: err = %v, want Invalid", err)
	}
}
