package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// GitHubConfig is a forge that speaks GitHub's REST API, version 2022-11-28.
type GitHubConfig struct {
	URL          string   `yaml:"url"` // "" is https://api.github.com
	TokenFile    string   `yaml:"token_file"`
	TokenEnv     string   `yaml:"token_env"`
	Repositories []string `yaml:"repositories"` // owner/name, or owner/* for all of an owner's; none is every one
	Address      string   `yaml:"address"`      // of a preview, with {name} in it; "" when they have none
}

func (c GitHubConfig) faults() (faults []error) {
	if (c.TokenFile == "") == (c.TokenEnv == "") {
		faults = append(faults, errors.New("give one of token_file and token_env"))
	} else if _, err := readSecret(c.TokenFile, c.TokenEnv); err != nil {
		faults = append(faults, err)
	}
	if u, err := url.Parse(c.base()); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		faults = append(faults, fmt.Errorf("url is %q; give one such as https://github.example.com/api/v3, by https: a token is sent there", c.URL))
	}
	if u, err := url.Parse(strings.ReplaceAll(c.Address, "{name}", "pr-1")); c.Address != "" && (err != nil || u.Host == "" || !strings.Contains(c.Address, "{name}")) {
		faults = append(faults, fmt.Errorf("address is %q; give one such as https://{name}.preview.example.com", c.Address))
	}
	return faults
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c GitHubConfig) base() string {
	if c.URL == "" {
		return "https://api.github.com"
	}
	return strings.TrimRight(c.URL, "/")
}

// serves reports whether pull requests of a repository are told there.
func (c GitHubConfig) serves(repository string) bool {
	owner, _, _ := strings.Cut(repository, "/")
	return len(c.Repositories) == 0 || slices.Contains(c.Repositories, repository) || slices.Contains(c.Repositories, owner+"/*")
}

// previewStore is what a comment is made of.
type previewStore interface {
	Request(ctx context.Context, id uuid.UUID) (provision.Request, error)
	Instance(ctx context.Context, id uuid.UUID) (provision.Instance, error)
	Instances(ctx context.Context, f provision.InstanceFilter) (provision.Page[provision.Instance], error)
	Exclusively(ctx context.Context, thing string, do func(context.Context) error) error
}

// pulls keeps one comment on the pull request of a preview, which says how it
// stands. It says what is true when it is sent, so that notices may come late,
// twice, and in any order.
type pulls struct {
	GitHubConfig
	client *http.Client
	store  previewStore
	portal string // URL of the portal, "" when unknown
	now    func() time.Time
}

func (c pulls) send(ctx context.Context, _ uuid.UUID, e provision.Event, s subject, m message) error {
	instance, err := c.instance(ctx, s)
	if err != nil || instance == nil || instance.Preview == nil || !c.serves(instance.Preview.Repository) {
		return err
	}
	pull := *instance.Preview
	// Two replicas that look for the comment at once would both make one.
	return c.store.Exclusively(ctx, "comment of preview "+pull.ID.String(), func(ctx context.Context) error {
		living, err := c.living(ctx, pull.ID)
		if err != nil {
			return err
		}
		note := ""
		if e.Entity == "instance" && e.Verb == "expired" && m.grave {
			note = m.title + ". " + m.text
		}
		body, err := c.comment(ctx, pull, living, note)
		if err != nil {
			return err
		}
		return c.put(ctx, pull, body, len(living) > 0)
	})
}

// instance is the one that a notice is about; nil when it is about none.
func (c pulls) instance(ctx context.Context, s subject) (*provision.Instance, error) {
	if s.instance != nil || s.request == nil || s.request.InstanceID == uuid.Nil {
		return s.instance, nil
	}
	instance, err := c.store.Instance(ctx, s.request.InstanceID)
	if provision.KindOf(err) == provision.NotFound && err != nil {
		return nil, nil
	}
	return &instance, err
}

func (c pulls) living(ctx context.Context, preview uuid.UUID) ([]provision.Instance, error) {
	var living []provision.Instance
	for cursor := ""; ; {
		page, err := c.store.Instances(ctx, provision.InstanceFilter{Ephemeral: true, PreviewID: preview, Cursor: cursor, Limit: 100})
		if err != nil {
			return nil, err
		}
		living = append(living, page.Items...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	slices.SortFunc(living, func(a, b provision.Instance) int { return strings.Compare(a.Name, b.Name) })
	return living, nil
}

// marker is how the comment is found again: it is what the body begins with.
func marker(preview uuid.UUID) string { return "<!-- roadbed:preview:" + preview.String() + " -->" }

// comment is the whole comment, in Markdown.
func (c pulls) comment(ctx context.Context, pull provision.PullRequest, living []provision.Instance, note string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Preview %s\n\n", marker(pull.ID), pull.Name)
	if len(living) == 0 {
		fmt.Fprintf(&b, "It is gone. Asked for again it has the same names.\n")
		return b.String(), nil
	}
	if c.Address != "" {
		fmt.Fprintf(&b, "%s\n\n", strings.ReplaceAll(c.Address, "{name}", pull.Name))
	}
	b.WriteString("| | State | Where | A month |\n|---|---|---|---|\n")
	for _, i := range living {
		state, err := c.state(ctx, i)
		if err != nil {
			return "", err
		}
		price := "not known"
		if i.MonthlyCost != nil {
			price = i.MonthlyCost.String()
		}
		fmt.Fprintf(&b, "| %s (%s) | %s | %s | %s |\n", i.Name, i.Offering, state, where(i.Outputs), price)
	}
	whole := provision.Ephemeral{PullRequest: pull, Instances: living}
	fmt.Fprintf(&b, "\nCopied from %s for %s", pull.Base, code(living[0].Owner))
	if cost := whole.MonthlyCost(); cost != nil {
		fmt.Fprintf(&b, ", at %s a month while it lives", *cost)
	}
	b.WriteString(".")
	if end := whole.ExpiresAt(); end != nil {
		fmt.Fprintf(&b, " It will be deleted in %s (%s).", remaining(end.Sub(c.now())), end.UTC().Format("Mon 2 Jan 15:04 UTC"))
	}
	b.WriteString("\n")
	if note != "" {
		b.WriteString("\n")
		for line := range strings.SplitSeq(note, "\n") {
			fmt.Fprintf(&b, "> %s\n", code(line)) // a reason holds what people have typed
		}
	}
	if c.portal != "" {
		fmt.Fprintf(&b, "\n[Extend it or delete it](%s/infrastructure/previews)\n", strings.TrimRight(c.portal, "/"))
	}
	return b.String(), nil
}

// state is how an instance stands, in a word or two.
func (c pulls) state(ctx context.Context, i provision.Instance) (string, error) {
	if i.State == provision.Ready || i.State == provision.Destroying {
		return map[provision.InstanceState]string{provision.Ready: "ready", provision.Destroying: "being deleted"}[i.State], nil
	}
	newest, err := c.store.Request(ctx, i.RequestID)
	switch {
	case err != nil:
		return "", err
	case newest.State == provision.AwaitingApproval:
		return "waits for approval", nil
	case i.State == provision.Reserved:
		return "being made", nil
	case i.State == provision.Incomplete:
		return "failed", nil
	}
	return "being changed", nil
}

// where is how an instance is reached: its outputs that are URLs, else its
// endpoint. What a module says is shown as it is, never as Markdown.
func where(outputs map[string]any) string {
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		text, _ := outputs[name].(string)
		if u, err := url.Parse(text); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && name != "monitoring_dashboard" {
			urls = append(urls, code(text))
			if !strings.ContainsAny(text, "|<>`() ") {
				urls[len(urls)-1] = text
			}
		}
	}
	if len(urls) > 0 {
		return strings.Join(urls, " ")
	}
	endpoint, _ := outputs["endpoint"].(string)
	if endpoint == "" {
		return ""
	}
	if port, known := outputs["port"]; known && !strings.Contains(endpoint, ":") {
		endpoint = fmt.Sprintf("%s:%v", endpoint, port)
	}
	return code(endpoint)
}

// code is text in a table's cell, as it is.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "\\|", "\n", " ", "\r", " ").Replace(text) + "`"
}

// remaining is how long something still lives: hours, or minutes when it is less
// than two of them.
func remaining(d time.Duration) string {
	switch {
	case d <= 0:
		return "a moment"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Round(time.Minute)/time.Minute))
	}
	return fmt.Sprintf("%d hours", int(d.Round(time.Hour)/time.Hour))
}

// pages is how many pages of comments are looked through, 100 each.
const pages = 50

// put has the pull request's comment say body. It makes one only where it finds
// none, and only anew when there is something to say.
func (c pulls) put(ctx context.Context, pull provision.PullRequest, body string, anew bool) error {
	segments := strings.Split(pull.Repository, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	repository := c.base() + "/repos/" + strings.Join(segments, "/") + "/issues"
	type comment struct {
		ID   int64  `json:"id"`
		Body string `json:"body"`
	}
	for page := 1; page <= pages; page++ {
		var found []comment
		if err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s/%d/comments?per_page=100&page=%d", repository, pull.Number, page), nil, &found); err != nil {
			return err
		}
		for _, own := range found {
			if !strings.HasPrefix(own.Body, marker(pull.ID)) {
				continue
			}
			if own.Body == body {
				return nil
			}
			return c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/comments/%d", repository, own.ID), map[string]string{"body": body}, nil)
		}
		if len(found) < 100 {
			if !anew {
				return nil
			}
			return c.call(ctx, http.MethodPost, fmt.Sprintf("%s/%d/comments", repository, pull.Number), map[string]string{"body": body}, nil)
		}
	}
	return fmt.Errorf("pull request %s#%d has more than %d comments and none is ours", pull.Repository, pull.Number, pages*100)
}

// call asks the forge; into may be nil. What a refusal says is not kept: it may
// repeat what it was sent.
func (c pulls) call(ctx context.Context, method, address string, body, into any) error {
	token, err := readSecret(c.TokenFile, c.TokenEnv)
	if err != nil {
		return err
	}
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, sent)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "roadbed")
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("the forge cannot be reached: %w", errors.Unwrap(err))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20)) // a hundred comments of 64 KiB
	if err != nil {
		return fmt.Errorf("the forge hung up: %w", err)
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("the forge answered %s to %s %s", res.Status, method, req.URL.Path)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read the forge's answer to %s %s: %w", method, req.URL.Path, err)
	}
	return nil
}
