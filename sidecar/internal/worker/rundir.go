package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// directory is a run's directory.
type directory string

// The files of a run's directory. Terraform's own are in work/.
const (
	recordFile     = "run.json"        // what the worker knows: record
	connectionFile = "connection.json" // how a supervisor reaches the sidecar
	applyFile      = "apply.json"      // Terraform's arguments: apply
	processFile    = "terraform.json"  // Terraform's process; made once, before it runs
	exitFile       = "exit.json"       // how it ended: exit
	stopFile       = "stop.json"       // that it shall stop: stop
	detachFile     = "detach"          // the shim shall leave Terraform to its supervisor
	eventsFile     = "events.jsonl"    // Terraform's stdout
	stderrFile     = "stderr.txt"
	journalFile    = "journal.jsonl"    // what was begun and what was completed, synced
	pushedFile     = "pushed.json"      // the newest state that the sidecar has: pushed
	supervisorLock = "supervisor.lock"  // held by the supervisor
	supervisorLog  = "supervisor.jsonl" // for whoever debugs
	reportsFile    = "reports.jsonl"    // every report, before it is sent
	logsFile       = "logs.jsonl"       // every log line, before it is sent
	logsSentFile   = "logs.sent"
	shimLink       = "bin/terraform"
)

// phase is how far a run has come, for whoever takes it up again.
type phase string

const (
	phaseClaimed  phase = "claimed"  // nothing has been asked yet
	phaseAsked    phase = "asked"    // the plan was submitted; the answer may be lost
	phaseApplying phase = "applying" // the sidecar has said go on
)

// record is what a worker must know to take a run up again.
type record struct {
	Claim     provision.Claim    `json:"claim"`
	Worker    string             `json:"worker"`
	Terraform string             `json:"terraform"` // the real executable
	Version   string             `json:"version"`
	Self      string             `json:"self"` // our own executable
	Phase     phase              `json:"phase"`
	Changes   []provision.Change `json:"changes,omitempty"`
	Patience  Patience           `json:"patience"`
}

// stop says that Terraform shall stop, and how far that has come, so that a new
// supervisor does not hurry what an earlier one has asked for.
type stop struct {
	Reason      string    `json:"reason"`
	Timeout     bool      `json:"timeout,omitempty"` // nobody asked: the time was up
	Interrupted time.Time `json:"interrupted,omitzero"`
	Again       time.Time `json:"again,omitzero"`
	Killed      time.Time `json:"killed,omitzero"`
}

// exit is how Terraform ended.
type exit struct {
	Code     int       `json:"code"`               // -1: it was killed or vanished
	Inferred bool      `json:"inferred,omitempty"` // from its words: nobody was there to wait for it
	At       time.Time `json:"at"`
}

func (d directory) path(name string) string { return filepath.Join(string(d), name) }
func (d directory) work() string            { return d.path("work") }

func (d directory) has(name string) bool {
	_, err := os.Stat(d.path(name))
	return err == nil
}

// read decodes a file; ok is false when it is not there.
func (d directory) read(name string, into any) (ok bool, err error) {
	raw, err := os.ReadFile(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return false, fmt.Errorf("read %s of %s: %w", name, d, err)
	}
	return true, nil
}

// write replaces a file whole, and on disk before it returns.
func (d directory) write(name string, value any) error {
	staged, err := d.stage(name, value)
	if err != nil {
		return err
	}
	if err := os.Rename(staged, d.path(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return d.sync()
}

// create writes a file that must not be there yet; of many who try, one does.
// made is false when it was there.
func (d directory) create(name string, value any) (made bool, err error) {
	staged, err := d.stage(name, value)
	if err != nil {
		return false, err
	}
	defer os.Remove(staged)
	if err := os.Link(staged, d.path(name)); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("write %s: %w", name, err)
	}
	return true, d.sync()
}

func (d directory) stage(name string, value any) (string, error) {
	file, err := os.CreateTemp(string(d), "."+name+"-") // 0600
	if err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	encoder := json.NewEncoder(file)
	encoder.SetEscapeHTML(false)
	err = errors.Join(encoder.Encode(value), file.Sync(), file.Close())
	if err != nil {
		os.Remove(file.Name())
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return file.Name(), nil
}

func (d directory) sync() error {
	folder, err := os.Open(string(d))
	if err != nil {
		return fmt.Errorf("sync %s: %w", d, err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", d, err)
	}
	return nil
}

func (d directory) record() (record, error) {
	var r record
	ok, err := d.read(recordFile, &r)
	if err == nil && !ok {
		err = fmt.Errorf("read %s of %s: %w", recordFile, d, fs.ErrNotExist)
	}
	return r, err
}

// requestStop asks the supervisor to stop Terraform; the first reason stands.
func (d directory) requestStop(s stop) error {
	_, err := d.create(stopFile, s)
	return err
}
