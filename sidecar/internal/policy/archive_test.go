package policy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
)

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// eachFile reads a gzipped tar archive.
func eachFile(t *testing.T, archive []byte, see func(header *tar.Header, content []byte)) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		see(header, content)
	}
}

func fileIn(t *testing.T, archive []byte, name string) (content []byte) {
	t.Helper()
	eachFile(t, archive, func(header *tar.Header, text []byte) {
		if header.Name == name {
			content = text
		}
	})
	if content == nil {
		t.Fatalf("the archive has no %s", name)
	}
	return content
}

// withFile is the archive with another content of one file.
func withFile(t *testing.T, archive []byte, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	eachFile(t, archive, func(header *tar.Header, text []byte) {
		if header.Name == name {
			text = content
		}
		header.Size = int64(len(text))
		err := files.WriteHeader(header)
		if err == nil {
			_, err = files.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
