package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Fill puts the prepared module into the working directory: its files are
// copied, and what init downloaded is linked.
func (r *Run) Fill(p Prepared) error {
	err := filepath.WalkDir(p.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(p.Dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(r.Work, relative)
		switch {
		case relative == ".terraform":
			if err := linkEntries(path, to); err != nil {
				return err
			}
			return fs.SkipDir
		case relative == preparedFile:
			return nil
		case entry.IsDir():
			return os.MkdirAll(to, 0o700)
		default:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, content, 0o600)
		}
	})
	if err != nil {
		return fmt.Errorf("copy the prepared module: %w", err)
	}
	return nil
}

func linkEntries(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, entry := range entries {
		err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name()))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// WriteVariables writes those of the values that the module declares, as JSON
// data. Those of sealed are secret: Terraform is told that their variables are
// sensitive, whatever the module says, so that it follows where they go.
func (r *Run) WriteVariables(p Prepared, values, sealed map[string]any) error {
	declared, overrides := map[string]any{}, map[string]any{}
	if err := r.speakAll(values); err != nil {
		return err
	}
	for name, value := range values {
		if slices.Contains(p.Variables, name) {
			declared[name] = value
		}
	}
	for name, value := range sealed {
		r.redactor.Add(value)
		r.secret.Add(value)
		if slices.Contains(p.Variables, name) {
			declared[name] = value
			overrides[name] = map[string]any{"sensitive": true}
		}
	}
	if len(overrides) > 0 {
		if err := r.writeJSON("roadbed_override.tf.json", map[string]any{"variable": overrides}); err != nil {
			return err
		}
	}
	return r.writeJSON(VariablesFile, declared)
}

// speakAll is speak for values of any Go type, as Terraform will read them.
func (r *Run) speakAll(values map[string]any) error {
	text, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode the module's variables: %w", err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return fmt.Errorf("encode the module's variables: %w", err)
	}
	r.speak(plain)
	return nil
}

// speak remembers what a requester has said openly. It is no secret, even when
// it ends in a sensitive attribute.
func (r *Run) speak(value any) {
	switch v := value.(type) {
	case string:
		r.open[v] = true
	case map[string]any:
		for _, member := range v {
			r.speak(member)
		}
	case []any:
		for _, member := range v {
			r.speak(member)
		}
	}
}

func (r *Run) writeJSON(name string, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(r.Work, name), text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// WriteState puts the state to go on from into the working directory.
func (r *Run) WriteState(raw []byte) (State, error) {
	state, err := ParseState(raw)
	if err != nil {
		return State{}, err
	}
	state.Hide(r.redactor)
	if err := os.WriteFile(filepath.Join(r.Work, StateFile), raw, 0o600); err != nil {
		return State{}, fmt.Errorf("write state: %w", err)
	}
	return state, nil
}

// ReadState is the newest state in a working directory and its bytes: the one
// that Terraform could not write where it should, when that is newer. ok is
// false when there is none yet or it is being written right now.
func ReadState(work string) (state State, raw []byte, ok bool) {
	for _, name := range []string{StateFile, ErroredState} {
		content, err := readWhole(filepath.Join(work, name))
		if err != nil {
			continue
		}
		parsed, err := ParseState(content)
		if err != nil || ok && parsed.Serial <= state.Serial {
			continue
		}
		state, raw, ok = parsed, content, true
	}
	return state, raw, ok
}

// readWhole reads a file that Terraform may be writing: it empties the file and
// writes it anew, so that a reader can get the beginning of one version with the
// end of another.
func readWhole(path string) ([]byte, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	after, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !after.ModTime().Equal(before.ModTime()) || after.Size() != int64(len(content)) {
		return nil, fmt.Errorf("%s is being written", path)
	}
	return content, nil
}
