// Package keys holds the age keys that state and sensitive parameters are
// sealed with: one pair for the sidecar and one for each worker pool. The
// sidecar has its own identity and every pool's public key; a worker has its
// pool's identity and the sidecar's public key. It knows nothing of what it
// seals.
//
// A folder of keys has, for each holder, `<holder>.pub` (public) and, only
// where that holder runs, `<holder>.key` (secret, mode 0600), in age's own file
// format. A .key file may have several identities: the first line is the newest,
// and older ones still open what was sealed for them.
package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// Sidecar is the holder name of the sidecar's own keys.
const Sidecar = "sidecar"

// Ring seals for holders and opens as one of them. It implements
// provision.Keys for the sidecar. It may be used from many goroutines.
type Ring struct {
	identities []age.Identity
	public     map[string]string // holder to public key
}

// Load reads the folder and opens as holder. A missing key file is an error
// that says how to make one.
func Load(dir, holder string) (*Ring, error) {
	raw, err := os.ReadFile(filepath.Join(dir, holder+".key"))
	if err != nil {
		return nil, fmt.Errorf("read the key of %q: %w (make the keys with `roadbed keys create --dir %s`)", holder, err, dir)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("parse %s.key: %w", holder, err)
	}
	ring := &Ring{identities: identities, public: map[string]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.pub"))
	if err != nil {
		return nil, fmt.Errorf("list keys in %s: %w", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		recipient, err := age.ParseX25519Recipient(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		ring.public[strings.TrimSuffix(filepath.Base(file), ".pub")] = recipient.String()
	}
	return ring, nil
}

// Create makes the pairs that are missing in the folder, for the sidecar and
// the pools. Existing keys are kept; it may be repeated.
func Create(dir string, pools ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make key folder: %w", err)
	}
	for _, holder := range append([]string{Sidecar}, pools...) {
		secret := filepath.Join(dir, holder+".key")
		if _, err := os.Stat(secret); err == nil {
			continue
		}
		identity, err := age.GenerateX25519Identity()
		if err != nil {
			return fmt.Errorf("generate key of %s: %w", holder, err)
		}
		// The secret last: it is what a second Create goes by, after one that was cut short.
		if err := replaceFile(filepath.Join(dir, holder+".pub"), []byte(identity.Recipient().String()+"\n"), 0o644); err != nil {
			return err
		}
		if err := replaceFile(secret, []byte(identity.String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Rotate gives a holder a new key: the .pub file has it alone, so that everything
// is sealed for it from now on, and the .key file has it first, so that what was
// sealed for the older ones still opens. Everybody who has a copy of either file
// needs the new one.
func Rotate(dir, holder string) error {
	secret := filepath.Join(dir, holder+".key")
	old, err := os.ReadFile(secret)
	if err != nil {
		return fmt.Errorf("read the key of %q: %w", holder, err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("generate key of %s: %w", holder, err)
	}
	// The secret first: nothing may be sealed for a key that is not kept yet.
	if err := replaceFile(secret, append([]byte(identity.String()+"\n"), old...), 0o600); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, holder+".pub"), []byte(identity.Recipient().String()+"\n"), 0o644)
}

// Retire drops every key of a holder but the newest, and answers how many. What
// is still sealed for one of them alone can never be opened again, so it is
// refused while the .pub file beside it has another key: that of a Rotate which
// was cut short.
func Retire(dir, holder string) (dropped int, err error) {
	secret := filepath.Join(dir, holder+".key")
	raw, err := os.ReadFile(secret)
	if err != nil {
		return 0, fmt.Errorf("read the key of %q: %w", holder, err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(raw))
	if err != nil {
		return 0, fmt.Errorf("parse %s.key: %w", holder, err)
	}
	newest, ok := identities[0].(*age.X25519Identity)
	if !ok {
		return 0, fmt.Errorf("the first key in %s.key is of a kind that Roadbed does not make", holder)
	}
	public, err := os.ReadFile(filepath.Join(dir, holder+".pub"))
	if err == nil && strings.TrimSpace(string(public)) != newest.Recipient().String() {
		return 0, fmt.Errorf("%s.pub is not that of the newest key: a rotation was cut short, or the file is an old copy; run roadbed keys rotate again, or copy it, and rewrap", holder)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read public key: %w", err)
	}
	return len(identities) - 1, replaceFile(secret, []byte(newest.String()+"\n"), 0o600)
}

// replaceFile puts a whole file in another's place: a reader sees either, also
// after the power went.
func replaceFile(name string, text []byte, mode fs.FileMode) error {
	staging := name + ".new"
	file, err := os.OpenFile(staging, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", staging, err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", staging, err)
	}
	if err := os.Rename(staging, name); err != nil {
		return fmt.Errorf("put %s in its place: %w", name, err)
	}
	folder, err := os.Open(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// Newest opens with the newest key alone, as after Retire.
func (r *Ring) Newest() *Ring { return &Ring{identities: r.identities[:1], public: r.public} }

// Recipients are the public keys to seal a pool's state for: the pool's and
// the sidecar's.
func (r *Ring) Recipients(pool string) ([]string, error) {
	var keys []string
	for _, holder := range []string{pool, Sidecar} {
		key, ok := r.public[holder]
		if !ok {
			return nil, fmt.Errorf("there is no public key %s.pub", holder)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Seal encrypts for the pool's workers and the sidecar.
func (r *Ring) Seal(pool string, plain []byte) ([]byte, error) {
	recipients, err := r.Recipients(pool)
	if err != nil {
		return nil, err
	}
	return SealFor(recipients, plain)
}

// SealFor encrypts for each of the given public keys.
func SealFor(public []string, plain []byte) ([]byte, error) {
	recipients := make([]age.Recipient, len(public))
	for i, key := range public {
		recipient, err := age.ParseX25519Recipient(key)
		if err != nil {
			return nil, fmt.Errorf("parse recipient: %w", err)
		}
		recipients[i] = recipient
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipients...)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed.Bytes(), nil
}

// Open decrypts what was sealed for this holder.
func (r *Ring) Open(sealed []byte) ([]byte, error) {
	reader, err := age.Decrypt(bytes.NewReader(sealed), r.identities...)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return plain, nil
}
