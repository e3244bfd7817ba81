package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"net/smtp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// patience is how long one attempt may take.
const patience = 10 * time.Second

// Portal shows notifications to people in Backstage.
type Portal interface {
	// Notify shows one; NotFound when the portal has no notifications.
	Notify(ctx context.Context, n provision.Notification) error
}

// channel sends one message; the id is the same at each attempt.
type channel interface {
	send(ctx context.Context, id uuid.UUID, e provision.Event, s subject, m message) error
}

// post sends JSON. What the receiver answers beside its status is not kept: it
// may repeat what it was sent.
func post(ctx context.Context, client *http.Client, url string, body []byte, headers map[string]string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return errors.New("its URL cannot be used") // it may be a secret
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("it cannot be reached: %w", errors.Unwrap(err)) // without the URL
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	if res.StatusCode >= 300 {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}

// slack is an incoming webhook: https://api.slack.com/messaging/webhooks.
type slack struct {
	SlackConfig
	client *http.Client
}

func (c slack) send(ctx context.Context, _ uuid.UUID, _ provision.Event, _ subject, m message) error {
	url, err := readSecret(c.URLFile, c.URLEnv)
	if err != nil {
		return err
	}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	section := func(text string) map[string]any {
		return map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": shortened(text, 3000)}}
	}
	blocks := []any{section("*" + escape(m.title) + "*")}
	if m.text != "" {
		blocks = append(blocks, section(escape(m.text)))
	}
	var facts []string
	for _, fact := range m.facts {
		facts = append(facts, fmt.Sprintf("*%s:* %s", escape(fact[0]), escape(fact[1])))
	}
	blocks = append(blocks, section(strings.Join(facts, "\n")))
	if strings.HasPrefix(m.link, "http") {
		blocks = append(blocks, section("<"+m.link+"|Open the request>"))
	}
	body, err := json.Marshal(map[string]any{"text": escape(m.title), "blocks": blocks})
	if err != nil {
		return err
	}
	return post(ctx, c.client, url, body, nil)
}

// shortened is text of at most n bytes, cut between characters.
func shortened(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-3], "") + "…"
}

// webhook is https://www.standardwebhooks.com, with a symmetric secret.
type webhook struct {
	WebhookConfig
	client *http.Client
	now    func() time.Time
}

func (c webhook) send(ctx context.Context, id uuid.UUID, e provision.Event, s subject, m message) error {
	secret, err := readSecret(c.SecretFile, c.SecretEnv)
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 {
		return errors.New("its secret must be whsec_ and the base64 of at least 24 bytes")
	}
	name, owner, offering := s.name()
	body, err := json.Marshal(map[string]any{
		"type": e.Type(), "timestamp": e.At.UTC().Format(time.RFC3339Nano),
		"data": map[string]any{
			"subject": e.SubjectID, "sequence": e.Sequence, "environment": e.Environment, "name": name, "owner": owner, "offering": offering,
			"title": m.title, "text": m.text, "link": m.link, "event": e.Data,
		},
	})
	if err != nil {
		return err
	}
	stamp := fmt.Sprint(c.now().Unix())
	sum := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(sum, "%s.%s.%s", id, stamp, body) // a hash never fails to write
	return post(ctx, c.client, c.URL, body, map[string]string{
		"webhook-id": id.String(), "webhook-timestamp": stamp,
		"webhook-signature": "v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil)),
	})
}

// Addresses knows where people are written to.
type Addresses interface {
	// Address is a person's mail address, "" when none is known; Unavailable while
	// it cannot be asked.
	Address(ctx context.Context, user string) (string, error)
}

// mailbox writes plain mails.
type mailbox struct {
	SMTPConfig
	addresses Addresses // nil: nobody's is known
	now       func() time.Time
}

// recipients are the addresses that a mail goes to, each once.
func (c mailbox) recipients(ctx context.Context, s subject) ([]string, error) {
	var to []string
	for _, address := range c.To {
		if address == requester {
			if c.addresses == nil || s.request == nil || !strings.HasPrefix(s.request.RequestedBy, "user:") {
				continue
			}
			var err error
			if address, err = c.addresses.Address(ctx, s.request.RequestedBy); err != nil {
				return nil, err
			}
			if _, err := mail.ParseAddress(address); err != nil {
				continue // the catalog has none, or what is none
			}
		}
		if !slices.Contains(to, address) {
			to = append(to, address)
		}
	}
	return to, nil
}

func (c mailbox) send(ctx context.Context, id uuid.UUID, _ provision.Event, s subject, m message) error {
	to, err := c.recipients(ctx, s)
	if err != nil || len(to) == 0 {
		return err
	}
	c.To = to
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer client.Close() // again, after Quit; nothing depends on it
	if err := c.envelope(client); err != nil {
		return err
	}
	writer, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := writer.Write(c.mail(id, m)); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the mail is taken; a server that hangs up early has it
	return nil
}

// open connects to the mail server, secured and signed in as it is to be. The
// connection ends with ctx's deadline.
func (c SMTPConfig) open(ctx context.Context) (client *smtp.Client, err error) {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("its address: %w", err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close() // it was of no use
		}
	}()
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end) // a connection that takes none ends with the context's dial
	}
	authorities, err := trusted(c.CAFile)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, RootCAs: authorities}
	if c.TLS == "implicit" {
		conn = tls.Client(conn, secure)
	}
	if client, err = smtp.NewClient(conn, host); err != nil {
		return nil, err
	}
	if c.TLS == "" || c.TLS == "starttls" {
		if err := client.StartTLS(secure); err != nil {
			return nil, err
		}
	}
	if c.Username != "" {
		password, err := readSecret(c.PasswordFile, c.PasswordEnv)
		if err != nil {
			return nil, err
		}
		if err := client.Auth(smtp.PlainAuth("", c.Username, password, host)); err != nil {
			return nil, err
		}
	}
	return client, nil
}

func (c mailbox) envelope(client *smtp.Client) error {
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return err
	}
	if err := client.Mail(from.Address); err != nil {
		return err
	}
	for _, to := range c.To {
		address, err := mail.ParseAddress(to)
		if err != nil {
			return err
		}
		if err := client.Rcpt(address.Address); err != nil {
			return err
		}
	}
	return nil
}

func (c mailbox) mail(id uuid.UUID, m message) []byte {
	host, _, _ := net.SplitHostPort(c.Address) // it was reached
	var b bytes.Buffer
	for _, header := range [][2]string{
		{"From", c.From}, {"To", strings.Join(c.To, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", oneLine(m.title))},
		{"Date", c.now().Format(time.RFC1123Z)}, {"Message-ID", "<" + id.String() + "@" + host + ">"}, {"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", header[0], oneLine(header[1]))
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	_, err := io.WriteString(body, strings.ReplaceAll(m.plain(), "\n", "\r\n"))
	_ = errors.Join(err, body.Close()) // into memory; it never fails
	return b.Bytes()
}

// oneLine keeps what others wrote from becoming a header of its own.
func oneLine(text string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}

// portal is Backstage's notifications.
type portal struct{ Portal }

func (c portal) send(ctx context.Context, _ uuid.UUID, e provision.Event, s subject, m message) error {
	if e.Entity == "unused" && e.Verb == "found" {
		return c.show(ctx, provision.Notification{
			Recipients: []string{text(e, "owner")}, Title: m.title, Description: shortened(m.text, 1000), Link: unusedPage,
			Severity: "low", Topic: "roadbed.unused", Scope: "roadbed:unused:" + text(e, "owner"), // one an owner, which moves
		})
	}
	to := people(e)
	link, scope := "/infrastructure/requests/"+e.SubjectID.String(), "roadbed:request:"+e.SubjectID.String()
	switch {
	case (e.Entity == "instance" || e.Entity == "drift") && s.instance != nil:
		to, link, scope = []string{s.instance.Owner}, status(e, s, ""), "roadbed:"+e.Entity+":"+e.SubjectID.String()
	case e.Entity != "approval" || e.Verb != "requested":
		// Whoever was denied at once has been told so.
		if s.request == nil || e.Entity == "request" && e.Verb == "denied" && e.Sequence <= 2 {
			return nil
		}
		if to = []string{s.request.RequestedBy}; !strings.HasPrefix(s.request.RequestedBy, "user:") {
			to = []string{s.request.Owner} // it is theirs, whoever asked
		}
	}
	if len(to) == 0 {
		return nil
	}
	n := provision.Notification{
		Recipients: to, Title: m.title, Description: shortened(m.text, 1000), Link: link,
		Severity: "normal", Topic: "roadbed." + e.Entity,
		Scope: scope, // one notification a request, or what lives, which moves
	}
	if e.Entity == "approval" && e.Verb == "requested" {
		n.Title = strings.TrimSuffix(m.title, "waits for approval") + "waits for your approval"
	}
	if m.grave {
		n.Severity = "high"
	}
	return c.show(ctx, n)
}

func (c portal) show(ctx context.Context, n provision.Notification) error {
	err := c.Notify(ctx, n)
	if provision.KindOf(err) == provision.NotFound && err != nil {
		return nil // there is no such plugin, which is no fault
	}
	return err
}
