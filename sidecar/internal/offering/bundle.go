package offering

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Bounds of an offering's contract and modules. Providers come from a mirror,
// so what is left is text.
const (
	maxBundle = 8 << 20 // bytes in all, unpacked
	maxFiles  = 1000
)

// readFiles are the contract and the modules of a folder, by path in it.
// Leftovers of runs are no part of an offering.
func readFiles(fsys fs.FS, id string) (map[string][]byte, error) {
	folder, err := fs.Sub(fsys, id)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", id, err)
	}
	contract, err := fs.ReadFile(folder, contractFile)
	if err != nil {
		return nil, err
	}
	files, size := map[string][]byte{contractFile: contract}, len(contract)
	err = fs.WalkDir(folder, "module", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == "module":
			return fs.SkipDir
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || leftover(entry.Name()):
			return nil
		case !entry.Type().IsRegular():
			return provision.Errorf(provision.Invalid, "%s/%s is not a regular file; offerings have no links", id, name)
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		files[name] = text
		if size += len(text); size > maxBundle || len(files) > maxFiles {
			return provision.Errorf(provision.Invalid, "the offering %s is larger than %d bytes or %d files; keep binaries out of its modules", id, maxBundle, maxFiles)
		}
		return nil
	})
	return files, err
}

// leftover reports whether a file is of some tool or run: hidden, but for the
// lock of the providers, or Terraform's state.
func leftover(name string) bool {
	hidden := strings.HasPrefix(name, ".") && name != ".terraform.lock.hcl"
	return hidden || strings.Contains(name, ".tfstate")
}

// digest is over each path and content in order, with lengths between, so that
// no two sets of files can run together.
func digest(files map[string][]byte) string {
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(hash, "%d %s %d ", len(name), name, len(files[name]))
		hash.Write(files[name])
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}

// pack is the files as tar.gz: same files, same bytes.
func pack(files map[string][]byte) ([]byte, error) {
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	return buffer.Bytes(), nil
}

// unpack reads a bundle into memory. Whatever a bundle of ours would not hold
// (links, absolute or climbing paths, too much) is Invalid.
func unpack(bundle []byte) (map[string][]byte, error) {
	refuse := func(format string, args ...any) (map[string][]byte, error) {
		return nil, provision.Errorf(provision.Invalid, "the bundle is refused: "+format, args...)
	}
	zipped, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		return refuse("it is not gzip: %w", err)
	}
	files, left := map[string][]byte{}, int64(maxBundle)
	// The reader is bounded too: a tar header can be as long as it likes.
	archive := tar.NewReader(io.LimitReader(zipped, maxBundle+maxFiles*4096))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return refuse("it is not a tar archive: %w", err)
		}
		name := header.Name
		_, twice := files[name]
		switch {
		case header.Typeflag != tar.TypeReg:
			return refuse("%.80q is not a regular file", name)
		case !fs.ValidPath(name) || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") || name == ".":
			return refuse("%.80q is not a path inside it", name)
		case twice:
			return refuse("%.80q is in it twice", name)
		case header.Size > left || len(files) >= maxFiles:
			return refuse("it holds more than %d bytes or %d files", maxBundle, maxFiles)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return refuse("%.80q is cut short: %w", name, err)
		}
		files[name], left = text, left-int64(len(text))
	}
}

// Unpack writes a bundle's files into dir, which it makes when it is missing. A
// file that is there already is an error, so dir should be empty. A bundle with
// links, paths out of dir, or more than 8 MiB is Invalid and nothing of it is
// written.
func Unpack(bundle []byte, dir string) error {
	files, err := unpack(bundle)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
		_, err = file.Write(files[name])
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	return nil
}

// BundleDigest is the digest of the offering that a bundle holds. A worker
// compares it with the one that its job names. It is Invalid where Unpack is.
func BundleDigest(bundle []byte) (string, error) {
	files, err := unpack(bundle)
	if err != nil {
		return "", err
	}
	return digest(files), nil
}
