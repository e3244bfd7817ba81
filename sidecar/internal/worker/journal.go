package worker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// tail reads a growing file line by line; a line without its end waits.
type tail struct {
	path   string
	offset int64
	lines  int64
}

// read gives each new whole line, without its end, to each, with its number
// from 1. A file that is not there has no lines.
func (t *tail) read(each func(number int64, line []byte)) error {
	file, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Terraform's events: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(t.offset, io.SeekStart); err != nil {
		return fmt.Errorf("read Terraform's events: %w", err)
	}
	reader := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read Terraform's events: %w", err)
		}
		t.offset += int64(len(line))
		t.lines++
		each(t.lines, bytes.TrimRight(line, "\r\n"))
	}
}

// entry is one line of the journal. What was begun and not completed is what a
// killed Terraform may have left behind without its state knowing.
type entry struct {
	Line    int64     `json:"line"` // of the events
	Kind    string    `json:"kind"` // apply_start, apply_complete, apply_errored
	Address string    `json:"address"`
	Action  string    `json:"action"`
	IDKey   string    `json:"id_key,omitempty"`
	IDValue string    `json:"id_value,omitempty"`
	At      time.Time `json:"at"`
}

// journal turns events into entries that are on disk before it goes on.
type journal struct {
	file     *os.File
	events   tail
	written  int64 // the newest line that has its entry
	failed   bool
	finished bool
}

func openJournal(d directory) (*journal, error) {
	entries, err := readJournal(d)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(d.path(journalFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j := &journal{file: file, events: tail{path: d.path(eventsFile)}}
	if len(entries) > 0 {
		j.written = entries[len(entries)-1].Line
	}
	return j, nil
}

func (j *journal) close() { j.file.Close() }

// catchUp reads what Terraform has said since, and returns once the journal is
// on disk.
func (j *journal) catchUp() error {
	var text bytes.Buffer
	newest := j.written
	err := j.events.read(func(number int64, line []byte) {
		event := terraform.ParseEvent(line)
		j.failed = j.failed || event.Failed()
		j.finished = j.finished || event.Kind == "change_summary" && event.Operation != "plan"
		switch event.Kind {
		case "apply_start", "apply_complete", "apply_errored":
			if number <= j.written {
				return
			}
			newest = number
			raw, _ := json.Marshal(entry{number, event.Kind, event.Address, event.Action, event.IDKey, event.IDValue, time.Now()})
			text.Write(append(raw, '\n')) // texts and numbers always encode
		}
	})
	if text.Len() == 0 || err != nil {
		return err
	}
	if _, err := j.file.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	j.written = newest
	return nil
}

// infer is the exit code that Terraform's words speak for; -1 when they do not
// say how it ended.
func (j *journal) infer() int {
	switch {
	case j.failed:
		return 1
	case j.finished:
		return 0
	}
	return -1
}

func readJournal(d directory) ([]entry, error) {
	raw, err := os.ReadFile(d.path(journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	var entries []entry
	for line := range bytes.Lines(raw) {
		var e entry
		if json.Unmarshal(line, &e) != nil {
			break // cut short by a crash; its event is still there to be read again
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// inFlight are the addresses that were begun and neither completed nor failed.
func inFlight(entries []entry) []string {
	var open []string
	for _, e := range entries {
		i := indexOf(open, e.Address)
		switch {
		case e.Kind == "apply_start" && i < 0:
			open = append(open, e.Address)
		case e.Kind != "apply_start" && i >= 0:
			open = append(open[:i], open[i+1:]...)
		}
	}
	return open
}

// unrecorded are the addresses that were made and are not in the state:
// Terraform says that it has made something before it writes it down.
func unrecorded(entries []entry, state []string) []string {
	var missing []string
	for _, e := range entries {
		made := e.Kind == "apply_complete" && e.Action == "create"
		if made && indexOf(state, e.Address) < 0 && indexOf(missing, e.Address) < 0 {
			missing = append(missing, e.Address)
		}
	}
	return missing
}

func indexOf(list []string, text string) int {
	for i, member := range list {
		if member == text {
			return i
		}
	}
	return -1
}
