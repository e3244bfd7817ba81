package notify

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// secretFile holds a secret, and what a webhook's looks like.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

func anEvent(entity, verb string, data map[string]any) provision.Event {
	return provision.Event{ID: uuid.New(), Entity: entity, Verb: verb, SubjectID: uuid.New(), Sequence: 7, Environment: "dev", At: now, Data: data}
}

func aRequest(edit func(*provision.Request)) subject {
	r := provision.Request{
		Action: provision.Create, Name: "orders", Owner: "group:default/payments", Offering: "postgres-database", Environment: "dev", RequestedBy: "user:default/ann",
		Outputs: map[string]any{"endpoint": "orders.example", "port": json.Number("5432"), "credentials_secret_arn": "roadbed:orders", "nested": map[string]any{}, "last_snapshot": "/snapshots/orders.dump"},
	}
	if edit != nil {
		edit(&r)
	}
	return subject{request: &r}
}

// receiver is a web server that keeps what it is sent.
type receiver struct {
	*httptest.Server
	headers http.Header
	body    []byte
}

func receive(t *testing.T, status int) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.headers = req.Header.Clone()
		r.body, _ = io.ReadAll(req.Body) // a short one fails the comparison
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestWebhooksAreSignedAsTheStandardSays(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	to := receive(t, http.StatusNoContent)
	file := secretFile(t, "whsec_"+base64.StdEncoding.EncodeToString(key))
	hook := webhook{WebhookConfig{URL: to.URL, SecretFile: file}, to.Client(), clock}
	e, about := anEvent("request", "succeeded", map[string]any{"state": "succeeded"}), aRequest(nil)
	if err := hook.send(t.Context(), e.ID, e, about, describe(e, about, "https://portal.example")); err != nil {
		t.Fatal(err)
	}
	id, stamp := to.headers.Get("webhook-id"), to.headers.Get("webhook-timestamp")
	if id != e.ID.String() || stamp != strconv.FormatInt(now.Unix(), 10) {
		t.Errorf("id %q, timestamp %q; want the event's id, so that a repeat can be told, and seconds", id, stamp)
	}
	version, signature, _ := strings.Cut(to.headers.Get("webhook-signature"), ",")
	got, err := base64.StdEncoding.DecodeString(signature)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(to.body)
	if version != "v1" || err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		t.Errorf("signature %q does not verify: %v", to.headers.Get("webhook-signature"), err)
	}
	var sent struct {
		Type string
		Data struct{ Name, Owner, Offering, Environment, Title, Link string }
	}
	if err := json.Unmarshal(to.body, &sent); err != nil || sent.Type != "dev.roadbed.request.succeeded.v1" || sent.Data.Name != "orders" ||
		sent.Data.Owner != "group:default/payments" || sent.Data.Title != "orders in dev is ready" || !strings.HasPrefix(sent.Data.Link, "https://portal.example/infrastructure/requests/") {
		t.Errorf("body %s, %v", to.body, err)
	}
	hook.SecretFile = secretFile(t, "whsec_c2hvcnQ=")
	if err := hook.send(t.Context(), e.ID, e, about, message{}); err == nil || strings.Contains(err.Error(), "c2hv") {
		t.Errorf("a short secret: %v", err)
	}
}

func TestSlackIsToldInItsBlocks(t *testing.T) {
	t.Parallel()
	to := receive(t, http.StatusOK)
	c := slack{SlackConfig{URLFile: secretFile(t, to.URL+"/services/T0/B0/canary")}, to.Client()}
	e := anEvent("request", "failed", nil)
	about := aRequest(func(r *provision.Request) {
		r.Error = &provision.Failure{Message: "failed at step 3 of 5: Create database", Detail: "disk <full> & slow", WayOut: "Ask again.", Step: 3}
	})
	if err := c.send(t.Context(), e.ID, e, about, describe(e, about, "https://portal.example/")); err != nil {
		t.Fatal(err)
	}
	var sent map[string]any
	if err := json.Unmarshal(to.body, &sent); err != nil {
		t.Fatal(err)
	}
	section := func(text string) any {
		return map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": text}}
	}
	want := map[string]any{"text": "orders in dev failed", "blocks": []any{
		section("*orders in dev failed*"),
		section("failed at step 3 of 5: Create database\ndisk &lt;full&gt; &amp; slow\nAsk again."),
		section("*Offering:* postgres-database\n*Owner:* group:default/payments\n*Asked by:* user:default/ann"),
		section("<https://portal.example/infrastructure/requests/" + e.SubjectID.String() + "|Open the request>"),
	}}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	to.Close()
	if err := c.send(t.Context(), e.ID, e, about, message{}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("where Slack is away: %v; want an error without the URL, which is a secret", err)
	}
}

// postOffice speaks as much SMTP as one mail needs.
type postOffice struct {
	address  string
	secure   *tls.Config // nil offers no STARTTLS
	from, to string
	auth     string // the last AUTH, "" for none
	mails    chan []byte
}

func openPostOffice(t *testing.T) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openPostOfficeAt(t, l, nil)
}

func openPostOfficeAt(t *testing.T, l net.Listener, secure *tls.Config) *postOffice {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	p := &postOffice{address: l.Addr().String(), secure: secure, mails: make(chan []byte, 1)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(conn)
		}
	}()
	return p
}

func (p *postOffice) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the one in use by then
	text := textproto.NewConn(conn)
	say := func(line string) { _ = text.PrintfLine("%s", line) } // who hung up hears nothing
	say("220 office ESMTP")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line); {
		case strings.HasPrefix(verb, "EHLO"):
			if p.secure != nil {
				say("250-office")
				say("250-AUTH PLAIN")
				say("250 STARTTLS")
				continue
			}
			say("250 office")
		case verb == "STARTTLS" && p.secure != nil:
			say("220 go on")
			conn = tls.Server(conn, p.secure)
			text = textproto.NewConn(conn)
		case strings.HasPrefix(verb, "AUTH PLAIN ") && p.secure != nil:
			p.auth = line
			say("235 welcome")
		case strings.HasPrefix(verb, "MAIL FROM:"):
			p.from = line
			say("250 ok")
		case strings.HasPrefix(verb, "RCPT TO:"):
			p.to += line + ";"
			say("250 ok")
		case verb == "DATA":
			say("354 go on")
			mail, err := text.ReadDotBytes()
			if err != nil {
				return
			}
			say("250 taken")
			p.mails <- mail
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("502 no")
		}
	}
}

func TestMailsSayWhereItIsAndHowToReachItsCredentials(t *testing.T) {
	t.Parallel()
	office := openPostOffice(t)
	c := mailbox{SMTPConfig{Address: office.address, TLS: "none", From: "Roadbed <roadbed@example.com>", To: []string{"team@example.com", "Ops <ops@example.com>"}}, nil, clock}
	e, about := anEvent("request", "succeeded", nil), aRequest(func(r *provision.Request) { r.Name = "órders\r\nBcc: eve@example.com" })
	if err := c.send(t.Context(), e.ID, e, about, describe(e, about, "https://portal.example")); err != nil {
		t.Fatal(err)
	}
	got, err := mail.ReadMessage(bufio.NewReader(strings.NewReader(string(<-office.mails))))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(office.from, "MAIL FROM:<roadbed@example.com>") || office.to != "RCPT TO:<team@example.com>;RCPT TO:<ops@example.com>;" {
		t.Errorf("envelope %q %q", office.from, office.to)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != "órders  Bcc: eve@example.com in dev is ready" || got.Header.Get("Bcc") != "" {
		t.Errorf("subject %q, Bcc %q, %v", subject, got.Header.Get("Bcc"), err)
	}
	if !strings.Contains(got.Header.Get("Message-ID"), e.ID.String()) {
		t.Errorf("Message-ID %q, want the event's id", got.Header.Get("Message-ID"))
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Endpoint: orders.example", "Port: 5432", "Credentials secret arn: roadbed:orders", "https://portal.example/infrastructure/requests/" + e.SubjectID.String()} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is missing in\n%s", want, body)
		}
	}
	if strings.Contains(string(body), "snapshot") {
		t.Errorf("there is no snapshot of what was made right now, but\n%s", body)
	}
	c.TLS = "" // which the office does not speak
	if err := c.send(t.Context(), e.ID, e, about, message{}); err == nil {
		t.Error("a mail went out in clear though TLS was asked for")
	}
}

// noticeBoard is a portal that keeps what it shows.
type noticeBoard struct {
	shown []provision.Notification
	err   error
}

func (b *noticeBoard) Notify(_ context.Context, n provision.Notification) error {
	b.shown = append(b.shown, n)
	return b.err
}

func TestThePortalTellsOwnersOfWhatNobodyOfTheirsAskedFor(t *testing.T) {
	t.Parallel()
	for _, asker := range []string{"ci:acme/orders", "system:expiry"} {
		board := &noticeBoard{}
		e, about := anEvent("request", "succeeded", nil), aRequest(func(r *provision.Request) { r.RequestedBy = asker })
		if err := (portal{board}).send(t.Context(), e.ID, e, about, describe(e, about, "")); err != nil {
			t.Fatal(err)
		}
		if len(board.shown) != 1 || !cmp.Equal(board.shown[0].Recipients, []string{"group:default/payments"}) {
			t.Errorf("what %s asked for is told as %+v, want to its owner", asker, board.shown)
		}
	}
}

func TestThePortalTellsApproversRequestersAndOwners(t *testing.T) {
	t.Parallel()
	needed := []any{map[string]any{"people": []any{"user:default/sam", "user:default/pat"}}, map[string]any{"people": []any{"user:default/pat"}}}
	asked := map[string]any{
		"requested_by": "user:default/ann", "offering": "postgres-database", "ceiling": json.Number("755"), "needed": needed,
		"plan": []any{map[string]any{"action": "create"}, map[string]any{"action": "replace"}},
	}
	atOnce := anEvent("request", "denied", nil)
	atOnce.Sequence = 2
	tests := map[string]struct {
		event       provision.Event
		to          []string
		title, says string
	}{
		"approvers":                      {anEvent("approval", "requested", asked), []string{"user:default/pat", "user:default/sam"}, "orders in dev waits for your approval", "ann asks for it (postgres-database)"},
		"the requester of an approval":   {anEvent("approval", "given", map[string]any{"by": "user:default/pat", "reason": "fine", "waiting": ""}), []string{"user:default/ann"}, "user:default/pat approved orders in dev", "fine"},
		"the requester of a success":     {anEvent("request", "succeeded", nil), []string{"user:default/ann"}, "orders in dev is ready", ""},
		"the requester of a late denial": {anEvent("request", "denied", nil), []string{"user:default/ann"}, "orders in dev was denied", "too dear"},
		"nobody of a denial at once":     {atOnce, nil, "", ""},
	}
	for name, tt := range tests {
		board := &noticeBoard{}
		about := aRequest(func(r *provision.Request) { r.Error = &provision.Failure{Message: "too dear"} })
		if err := (portal{board}).send(t.Context(), tt.event.ID, tt.event, about, describe(tt.event, about, "")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if tt.to == nil {
			if len(board.shown) != 0 {
				t.Errorf("%s: shown %+v", name, board.shown)
			}
			continue
		}
		if len(board.shown) != 1 {
			t.Errorf("%s: shown %d times", name, len(board.shown))
			continue
		}
		got := board.shown[0]
		if !cmp.Equal(got.Recipients, tt.to) || got.Title != tt.title || !strings.Contains(got.Description, tt.says) ||
			got.Scope != "roadbed:request:"+tt.event.SubjectID.String() || got.Link != "/infrastructure/requests/"+tt.event.SubjectID.String() {
			t.Errorf("%s: %+v", name, got)
		}
	}
	theirs := subject{instance: &provision.Instance{Name: "orders", Owner: "group:default/payments", Offering: "postgres-database", Environment: "dev"}}
	for title, event := range map[string]provision.Event{
		"orders in dev is not as it was asked for":         anEvent("drift", "detected", nil),
		"orders in dev is as it was asked for again":       anEvent("drift", "resolved", nil),
		"orders in dev has expired and is being destroyed": anEvent("instance", "expired", nil),
	} {
		board := &noticeBoard{}
		if err := (portal{board}).send(t.Context(), event.ID, event, theirs, describe(event, theirs, "https://portal.example")); err != nil || len(board.shown) != 1 {
			t.Errorf("of %q is shown %+v (%v)", title, board.shown, err)
			continue
		}
		got := board.shown[0]
		if !cmp.Equal(got.Recipients, []string{"group:default/payments"}) || got.Title != title || got.Scope != "roadbed:"+event.Entity+":"+event.SubjectID.String() ||
			got.Link != "/catalog/dev/resource/orders.postgres-database/status" {
			t.Errorf("an owner is told %+v, want %q and the Status tab", got, title)
		}
	}
	board, found := &noticeBoard{}, anEvent("unused", "found", map[string]any{
		"owner": "group:default/shop", "count": 3, "monthly_saving": provision.Money(171000),
		"items": []any{map[string]any{"type": "postgres-database", "name": "orders", "environment": "dev", "reason": "no connections in 30 days", "monthly_cost": provision.Money(85000)}},
	})
	if err := (portal{board}).send(t.Context(), found.ID, found, subject{}, describe(found, subject{}, "")); err != nil || len(board.shown) != 1 {
		t.Fatalf("of what is unused is shown %+v (%v)", board.shown, err)
	}
	told := provision.Notification{
		Recipients: []string{"group:default/shop"}, Severity: "low", Topic: "roadbed.unused", Scope: "roadbed:unused:group:default/shop", Link: "/infrastructure/unused",
		Title:       "group:default/shop has 3 things that nobody uses: destroying it all saves $171.00 a month",
		Description: "orders in dev (postgres-database): no connections in 30 days, $85.00 a month\nand 2 more\nDestroy what is not needed, say until when the rest is, or snooze it.",
	}
	if diff := cmp.Diff(told, board.shown[0]); diff != "" {
		t.Errorf("an owner of what is unused is told otherwise (-want +got):\n%s", diff)
	}
	e, about := anEvent("request", "failed", nil), aRequest(nil)
	for err, good := range map[error]bool{provision.Errorf(provision.NotFound, "no such plugin"): true, errors.New("502"): false} {
		if got := (portal{&noticeBoard{err: err}}).send(t.Context(), e.ID, e, about, message{}); (got == nil) != good {
			t.Errorf("when the portal answers %v: %v", err, got)
		}
	}
}
