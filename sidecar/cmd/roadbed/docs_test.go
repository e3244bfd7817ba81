package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	fenced    = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	inlined   = regexp.MustCompile("`[^`\n]*`")
	linked    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingOf = regexp.MustCompile(`(?m)^#+ (.+)$`)
	makeNamed = regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+)")
	shortID   = regexp.MustCompile(`[0-9a-f]{8}-…`)
)

// page is a Markdown file of the repository.
type page struct{ name, text string }

// pages are every Markdown file that we wrote.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	eachFile(t, func(name string) bool { return strings.HasSuffix(name, ".md") }, func(name, text string) {
		all = append(all, page{name, text})
	})
	if len(all) < 15 {
		t.Fatalf("%d pages; the test has lost some", len(all))
	}
	return all
}

func eachFile(t *testing.T, wanted func(name string) bool, visit func(name, text string)) {
	t.Helper()
	root := repository(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch d.Name() {
		case ".git", ".build", "node_modules", "dist", ".terraform":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // a worktree's .git is a file
		}
		name, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() || !wanted(filepath.ToSlash(name)) {
			return err
		}
		text, err := os.ReadFile(path)
		visit(filepath.ToSlash(name), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// blocks are a page's code blocks of a language.
func (p page) blocks(language string) []string {
	var found []string
	for _, block := range fenced.FindAllStringSubmatch(p.text, -1) {
		if block[1] == language {
			found = append(found, block[2])
		}
	}
	return found
}

// documentation reports whether a page is for whoever uses or runs Roadbed.
func (p page) documentation() bool {
	return p.name == "README.md" || p.name == "CONTRIBUTING.md" || strings.HasPrefix(p.name, "docs/")
}

// TestDocsPrintWhatIsPrinted runs every console block; what it prints there must
// be what is printed.
func TestDocsPrintWhatIsPrinted(t *testing.T) {
	ran := 0
	for _, p := range pages(t) {
		for _, block := range p.blocks("console") {
			command, want, _ := strings.Cut(block, "\n")
			args := strings.Fields(strings.TrimPrefix(command, "$ "))
			if len(args) == 0 || args[0] != "roadbed" {
				t.Errorf("%s has a console block that does not begin with $ roadbed: %s", p.name, command)
				continue
			}
			ran++
			var out, errOut strings.Builder
			code := run(context.Background(), args[1:], &out, &errOut)
			if want := strings.TrimSpace(want); want != "" && strings.TrimSpace(out.String()) != want {
				t.Errorf("%s: %s printed\n%s\nthe page says\n%s", p.name, command, out.String(), want)
			}
			denied := strings.Contains(command, "multi_az=true")
			if denied && code != exitDenied || !denied && code != exitOK {
				t.Errorf("%s: %s exited %d: %s%s", p.name, command, code, out.String(), errOut.String())
			}
		}
	}
	if ran < 4 {
		t.Errorf("%d console blocks ran; the test has lost some", ran)
	}
}

// TestDocsCommandsExist parses every roadbed command of a sh block as the binary
// would, whatever it would do.
func TestDocsCommandsExist(t *testing.T) {
	all := pages(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("tickets.csv", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	parsed := 0
	for _, p := range all {
		if !p.documentation() {
			continue
		}
		for _, block := range p.blocks("sh") {
			for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
				line, _, _ = strings.Cut(line, " #")
				line = strings.TrimSpace(shortID.ReplaceAllString(line, provision.NewID().String()))
				line = strings.TrimSuffix(line, "…")
				if !strings.HasPrefix(line, "roadbed ") {
					continue
				}
				parsed++
				var c cli
				parser, err := newParser(t.Context(), &c, io.Discard, io.Discard, func(int) {})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := parser.Parse(withOfferingFlags(strings.Fields(line)[1:])); err != nil {
					t.Errorf("%s says %s: %v", p.name, line, err)
				}
			}
		}
	}
	if parsed < 10 {
		t.Errorf("%d commands; the test has lost some", parsed)
	}
}

// TestDocsMakeTargets asks make whether each target that a page names exists.
func TestDocsMakeTargets(t *testing.T) {
	asked := map[string]bool{}
	for _, p := range pages(t) {
		if !p.documentation() {
			continue
		}
		for _, match := range makeNamed.FindAllStringSubmatch(p.text, -1) {
			if asked[match[1]] {
				continue
			}
			asked[match[1]] = true
			cmd := exec.Command("make", "--dry-run", "--always-make", match[1])
			cmd.Dir = repository(t)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s says `make %s`: %v\n%s", p.name, match[1], err, out)
			}
		}
	}
}

// TestDocsLinksLeadSomewhere follows every link to a file or a heading of ours.
func TestDocsLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	headings := map[string]map[string]bool{}
	for _, p := range all {
		headings[p.name] = map[string]bool{}
		for _, match := range headingOf.FindAllStringSubmatch(fenced.ReplaceAllString(p.text, ""), -1) {
			headings[p.name][anchor(match[1])] = true
		}
	}
	for _, p := range all {
		prose := inlined.ReplaceAllString(fenced.ReplaceAllString(p.text, ""), "")
		for _, match := range linked.FindAllStringSubmatch(prose, -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := p.name
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), target))
			}
			if _, err := os.Stat(filepath.Join(repository(t), to)); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", p.name, match[1])
			}
			if known, isPage := headings[to]; fragment != "" && isPage && !known[fragment] {
				t.Errorf("%s links to %s; %s has no such heading", p.name, match[1], to)
			}
		}
	}
}

// anchor is what a heading is linked by.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, title)
}

// TestTroubleshootingQuotesRealMessages looks for each quoted message in what we
// wrote; … is what differs.
func TestTroubleshootingQuotesRealMessages(t *testing.T) {
	var source strings.Builder
	eachFile(t, func(name string) bool {
		said := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".rego") || name == "deploy/providers/tools"
		return said && !strings.HasSuffix(name, "_test.rego")
	}, func(_, text string) { source.WriteString(text) })
	messages := 0
	for _, p := range pages(t) {
		if p.name != "docs/troubleshooting.md" {
			continue
		}
		for _, message := range p.blocks("text") {
			messages++
			for part := range strings.SplitSeq(strings.TrimRight(message, "\n"), "…") {
				if len(strings.TrimSpace(part)) > 3 && !strings.Contains(source.String(), strings.TrimRight(part, " ")) {
					t.Errorf("nothing of ours says %q", part)
				}
			}
		}
	}
	if messages < 15 {
		t.Errorf("%d messages; the test has lost some", messages)
	}
}

func TestEveryMeasureIsDefinedInTheDocs(t *testing.T) {
	for _, p := range pages(t) {
		if p.name != "docs/measures.md" {
			continue
		}
		text := strings.Join(strings.Fields(p.text), " ")
		window, err := provision.NewMeasureWindow(1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		m := provision.Measured(window, provision.Counts{})
		for _, measure := range append(m.Cards, m.More...) {
			title := strings.ReplaceAll(measure.Name, "_", " ")
			title = strings.ToUpper(title[:1]) + title[1:]
			if !strings.Contains(text, "### "+title+" "+measure.Definition) {
				t.Errorf("docs/measures.md has no heading %q that begins with %q", title, measure.Definition)
			}
		}
	}
}

// TestGettingStarted does what the page says, on a road of its own: as ann, by
// her token rather than by the development site's.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository(t), "docs/getting-started.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRoad(t, options{})
	r.startWorker("w1")
	for _, block := range (page{text: string(text)}).blocks("sh") {
		if strings.HasPrefix(block, "make ") {
			continue
		}
		// Names of this road alone: the server where databases are made is shared.
		for _, name := range []string{"first-steps", "by-api"} {
			block = strings.ReplaceAll(block, name, name+"-"+r.mark)
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.ReplaceAll(block, " --as ann", ""))
		cmd.Dir = r.dir
		cmd.Env = append(os.Environ(), "ROADBED_URL="+r.base(), "ROADBED_TOKEN="+r.portal.user(t, ann))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", block, err, out)
		}
	}
	r.until("everything that was asked for has ended", func() bool {
		return r.number(`SELECT count(*) FROM requests WHERE finished_at IS NULL`) == 0
	})
	if made := r.number(`SELECT count(*) FROM requests WHERE state = 'succeeded'`); made != 3 {
		t.Errorf("%d requests succeeded, want two creates and a destroy", made)
	}
	r.wantMade("first-steps-"+r.mark, 0, 0)
	r.wantMade("by-api-"+r.mark, 1, 2)
}
