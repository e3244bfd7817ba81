package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// Bounds of a run's log.
const (
	longestLogLine = 8 << 10
	longestLog     = 50 << 20 // bytes of all lines
	logBatch       = 200      // lines in one message
)

// storedReport and storedLine are what is on disk before it is sent. Event is
// the number of Terraform's line that it was made from, 0 for our own words: a
// worker that takes the run up reads Terraform's words again from the start and
// must not say anything twice.
type storedReport struct {
	Report provision.Report `json:"report"`
}

type storedLine struct {
	Event int64             `json:"event,omitempty"`
	Line  provision.LogLine `json:"line"`
}

// reporter numbers a run's reports and log lines, keeps them on disk, and sends
// them in their order for as long as it takes. Its numbers go on where an
// earlier worker process stopped. All texts are redacted on their way in.
type reporter struct {
	dir      directory
	rec      record
	to       Reports
	redactor *terraform.Redactor
	log      *slog.Logger

	mu         sync.Mutex
	reportFile *os.File
	logFile    *os.File
	reports    []provision.Report
	sent       int                 // of reports, by this process
	logs       []provision.LogLine // not sent yet
	logNumber  int64
	logBytes   int64
	logEvent   int64         // the newest of Terraform's lines that is in the log
	changed    chan struct{} // has one element when there is something to send
	idle       chan struct{} // closed and replaced when everything was sent
}

func openReporter(d directory, rec record, to Reports, redactor *terraform.Redactor, log *slog.Logger) (*reporter, error) {
	r := &reporter{dir: d, rec: rec, to: to, redactor: redactor, log: log, changed: make(chan struct{}, 1), idle: make(chan struct{})}
	if err := r.load(); err != nil {
		return nil, err
	}
	var err error
	if r.reportFile, err = os.OpenFile(d.path(reportsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, fmt.Errorf("open the reports of run %s: %w", rec.Claim.RunID, err)
	}
	if r.logFile, err = os.OpenFile(d.path(logsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		r.reportFile.Close()
		return nil, fmt.Errorf("open the log of run %s: %w", rec.Claim.RunID, err)
	}
	r.wake()
	return r, nil
}

// load reads what an earlier process has left. All reports are sent again,
// because a report that counted before counts for nothing; of the log only
// what was not sent.
func (r *reporter) load() error {
	err := eachLine(r.dir.path(reportsFile), func(line []byte) {
		var stored storedReport
		if json.Unmarshal(line, &stored) == nil {
			r.reports = append(r.reports, stored.Report)
		}
	})
	if err != nil {
		return err
	}
	var sent int64
	if raw, err := os.ReadFile(r.dir.path(logsSentFile)); err == nil {
		sent, _ = strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	}
	return eachLine(r.dir.path(logsFile), func(line []byte) {
		var stored storedLine
		if json.Unmarshal(line, &stored) != nil {
			return
		}
		r.logNumber, r.logEvent = stored.Line.Number, max(r.logEvent, stored.Event)
		r.logBytes += int64(len(stored.Line.Text))
		if stored.Line.Number > sent {
			r.logs = append(r.logs, stored.Line)
		}
	})
}

// eachLine gives each whole line of a file; an end that a crash has cut short
// is cut off, so that what is appended begins a line.
func eachLine(path string, each func([]byte)) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	whole := bytes.LastIndexByte(raw, '\n') + 1
	for line := range bytes.Lines(raw[:whole]) {
		each(line)
	}
	if whole == len(raw) {
		return nil
	}
	if err := os.Truncate(path, int64(whole)); err != nil {
		return fmt.Errorf("mend %s: %w", path, err)
	}
	return nil
}

func (r *reporter) close() {
	r.reportFile.Close()
	r.logFile.Close()
}

// phase reports that a phase began or ended; saying it again changes nothing.
func (r *reporter) phase(name, status, details string) error {
	return r.report(provision.Report{Kind: provision.ReportPhase, Phase: name, Status: status, Details: details})
}

// address reports that a resource began, ended or failed; saying it again
// changes nothing.
func (r *reporter) address(address, status, details string) error {
	return r.report(provision.Report{Kind: provision.ReportAddress, Address: address, Status: status, Details: details})
}

// resource is address for what Terraform says of it itself: with what is done to
// it, and what its provider knows it by, sealed where that is among what is
// sensitive.
func (r *reporter) resource(event terraform.Event, status, details string) error {
	report := provision.Report{Kind: provision.ReportAddress, Address: event.Address, Status: status, Details: details, Action: event.Action}
	if r.redactor.Text(event.IDValue) == event.IDValue {
		report.ResourceID = event.IDValue
		return r.report(report)
	}
	var err error
	if report.SealedID, err = seal(r.rec.Claim.StateRecipients, []byte(event.IDValue)); err != nil {
		return err
	}
	return r.report(report)
}

// finish reports the outcome; there is one, and the first stands.
func (r *reporter) finish(o provision.RunOutcome) error {
	return r.report(provision.Report{Kind: provision.ReportOutcome, Outcome: &o})
}

// outcome is the one that was reported, or nil.
func (r *reporter) outcome() *provision.RunOutcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range r.reports {
		if report.Outcome != nil {
			return report.Outcome
		}
	}
	return nil
}

func (r *reporter) report(report provision.Report) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, said := range r.reports {
		if said.Kind == report.Kind && said.Phase == report.Phase && said.Address == report.Address && said.Status == report.Status {
			return nil
		}
	}
	report.RunID, report.Worker, report.Fence = r.rec.Claim.RunID, r.rec.Worker, r.rec.Claim.Fence
	report.Sequence, report.At = int64(len(r.reports)+1), time.Now().UTC()
	report.Details = clip(r.redactor.Text(report.Details), longestLogLine)
	raw, err := json.Marshal(storedReport{report})
	if err != nil {
		return fmt.Errorf("encode report %d of run %s: %w", report.Sequence, report.RunID, err)
	}
	if _, err = r.reportFile.Write(append(raw, '\n')); err == nil {
		err = r.reportFile.Sync()
	}
	if err != nil {
		return fmt.Errorf("keep report %d of run %s: %w", report.Sequence, report.RunID, err)
	}
	r.reports = append(r.reports, report)
	r.wake()
	return nil
}

// say adds lines to the run's log. event is the number of Terraform's line that
// they come from; lines of one that is in the log already are dropped.
func (r *reporter) say(event int64, lines ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if event > 0 && event <= r.logEvent {
		return
	}
	var text bytes.Buffer
	for _, line := range lines {
		if r.logBytes > longestLog {
			break
		}
		line = clip(r.redactor.Text(line), longestLogLine)
		if r.logBytes += int64(len(line)); r.logBytes > longestLog {
			line = "the log is cut off here: it has reached its limit of 50 MiB"
		}
		r.logNumber++
		stored := storedLine{Event: event, Line: provision.LogLine{
			RunID: r.rec.Claim.RunID, Fence: r.rec.Claim.Fence, Number: r.logNumber, At: time.Now().UTC(), Text: line,
		}}
		raw, _ := json.Marshal(stored) // texts, numbers and times always encode
		text.Write(append(raw, '\n'))
		r.logs = append(r.logs, stored.Line)
	}
	r.logEvent = max(r.logEvent, event)
	if _, err := r.logFile.Write(text.Bytes()); err != nil {
		r.log.Warn("log lines not kept on disk", "err", err)
	}
	r.wake()
}

func (r *reporter) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// again sends the last report once more: it may have been lost on its way.
func (r *reporter) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == len(r.reports) && r.sent > 0 {
		r.sent--
		r.wake()
	}
}

// send sends until ctx ends: reports in order, each stored before the next,
// because one that overtakes makes its forerunner count for nothing.
func (r *reporter) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		}
		wait := r.rec.Patience.Retry
		for {
			more, err := r.sendNext(ctx)
			if err != nil {
				if ctx.Err() == nil {
					r.log.Warn("report not sent; it is tried again", "err", err)
				}
				if !pause(ctx, wait) {
					return
				}
				wait = min(wait*2, r.rec.Patience.RetryMost)
				continue
			}
			if !more {
				break
			}
		}
	}
}

func (r *reporter) sendNext(ctx context.Context) (more bool, err error) {
	ctx, done := context.WithTimeout(ctx, r.rec.Patience.Call)
	defer done()
	r.mu.Lock()
	reports, lines := r.reports[r.sent:], r.logs[:min(len(r.logs), logBatch)]
	if len(reports)+len(lines) == 0 {
		close(r.idle)
		r.idle = make(chan struct{})
		r.mu.Unlock()
		return false, nil
	}
	r.mu.Unlock()
	if len(reports) > 0 {
		if err := r.to.PublishReport(ctx, reports[0]); err != nil {
			return false, fmt.Errorf("publish report %d of run %s: %w", reports[0].Sequence, r.rec.Claim.RunID, err)
		}
		r.mu.Lock()
		r.sent++
		r.mu.Unlock()
		return true, nil
	}
	if err := r.to.PublishLogs(ctx, lines); err != nil {
		return false, fmt.Errorf("publish log lines of run %s: %w", r.rec.Claim.RunID, err)
	}
	r.mu.Lock()
	r.logs = r.logs[len(lines):]
	r.mu.Unlock()
	sent := strconv.FormatInt(lines[len(lines)-1].Number, 10)
	if err := os.WriteFile(r.dir.path(logsSentFile), []byte(sent), 0o600); err != nil {
		r.log.Warn("sent log lines not noted; they may be sent twice", "err", err)
	}
	return true, nil
}

// flush waits until everything was sent, and is false when ctx ended first.
func (r *reporter) flush(ctx context.Context) bool {
	for {
		r.mu.Lock()
		open, idle := len(r.reports)-r.sent+len(r.logs), r.idle
		r.mu.Unlock()
		if open == 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-idle:
		}
	}
}

// clip shortens text to at most n bytes, at a rune's edge.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + " …"
}
