package worker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// FuzzSecretSplitOverWrites has Terraform say a secret in two writes, cut
// anywhere, with somebody who reads after each: the line is read once, whole,
// and nothing of what is told of it is the secret.
func FuzzSecretSplitOverWrites(f *testing.F) {
	f.Add("canary-0815", "password ", " is weak", uint16(40))
	f.Add("line one\nline two", "a key: ", "\n", uint16(60))
	f.Add("pässwörd \"quoted\"", "", "", uint16(3))
	f.Add("aaaaaaa", "aaa", "aaa", uint16(0))
	f.Fuzz(func(t *testing.T, secret, before, after string, cut uint16) {
		if len(secret) < 6 || !utf8.ValidString(secret) || strings.TrimSpace(secret) != secret {
			return // what is shorter is not looked for; the ends of lines are trimmed
		}
		var redactor terraform.Redactor
		redactor.Add(secret)
		if redactor.Finds(terraform.Masked + before + terraform.Masked + after + terraform.Masked) {
			return // what stands around it is the secret as well
		}
		event, err := json.Marshal(map[string]string{"type": "apply_progress", "@message": before + secret + after})
		if err != nil {
			t.Fatal(err)
		}
		said := append(event, '\n')
		at := int(cut) % len(said)

		events := tail{path: filepath.Join(t.TempDir(), eventsFile)}
		var told []string
		read := 0
		for _, write := range [][]byte{said[:at], said[at:]} {
			file, err := os.OpenFile(events.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.Write(write); err != nil {
				t.Fatal(err)
			}
			file.Close()
			if err := events.read(func(_ int64, line []byte) {
				read++
				for _, text := range terraform.ParseEvent(line).Lines() {
					told = append(told, redactor.Text(text))
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if read != 1 {
			t.Fatalf("cut at %d, %q was read as %d lines", at, said, read)
		}
		for _, text := range told {
			if redactor.Finds(text) {
				t.Errorf("cut at %d, %q is left in %q of %q", at, secret, text, said)
			}
		}
	})
}
