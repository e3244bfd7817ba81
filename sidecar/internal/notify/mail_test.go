package notify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// authority is a certificate authority of the test's own: the file of its
// certificate, and a server's configuration that it vouches for.
func authority(t *testing.T) (file string, server *tls.Config) {
	t.Helper()
	made := func(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "office"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootKey, leafKey := newKey(), newKey()
	der := made(root, root, rootKey, rootKey)
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: [][]byte{made(leaf, root, leafKey, rootKey)}, PrivateKey: leafKey}
	return file, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

func TestAMailGoesOutOverTLSToWhoeverTheAuthorityVouchesFor(t *testing.T) {
	t.Parallel()
	file, server := authority(t)
	stranger, _ := authority(t)
	for _, mode := range []string{"starttls", "implicit"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			listener := plain
			if mode == "implicit" {
				listener = tls.NewListener(plain, server)
			}
			office := openPostOfficeAt(t, listener, server)
			c := mailbox{SMTPConfig{
				Address: office.address, TLS: mode, CAFile: file, From: "roadbed@example.com", To: []string{"team@example.com"},
				Username: "roadbed", PasswordFile: secretFile(t, "pass-canary"),
			}, nil, clock}
			e := anEvent("request", "succeeded", nil)
			if err := c.send(t.Context(), e.ID, e, aRequest(nil), message{title: "ready"}); err != nil {
				t.Fatal(err)
			}
			if got := string(<-office.mails); !strings.Contains(got, "Subject: ready") {
				t.Errorf("the office got\n%s", got)
			}
			if want := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00roadbed\x00pass-canary")); office.auth != want {
				t.Errorf("it signed in with %q", office.auth)
			}
			c.CAFile = stranger
			if err := c.send(t.Context(), e.ID, e, aRequest(nil), message{}); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("to a server that nobody vouches for: %v, want no mail", err)
			}
		})
	}
}

// book knows addresses.
type book map[string]string

func (b book) Address(_ context.Context, user string) (string, error) {
	if address, known := b[user]; known {
		return address, nil
	}
	return "", provision.Errorf(provision.Unavailable, "the catalog is down")
}

func TestWhoeverAskedGetsAMailWhereTheCatalogKnowsTheirAddress(t *testing.T) {
	t.Parallel()
	by := func(who string) subject { return aRequest(func(r *provision.Request) { r.RequestedBy = who }) }
	for name, test := range map[string]struct {
		addresses Addresses
		about     subject
		want      string
	}{
		"beside the list":            {book{"user:default/ann": "ann@example.com"}, by("user:default/ann"), "team@example.com ann@example.com"},
		"once":                       {book{"user:default/ann": "team@example.com"}, by("user:default/ann"), "team@example.com"},
		"without an address":         {book{"user:default/ann": ""}, by("user:default/ann"), "team@example.com"},
		"with what is no address":    {book{"user:default/ann": "ann at home"}, by("user:default/ann"), "team@example.com"},
		"when the system asked":      {book{}, by("system:expiry"), "team@example.com"},
		"of an instance":             {book{}, subject{}, "team@example.com"},
		"where nobody can be looked": {nil, by("user:default/ann"), "team@example.com"},
	} {
		to, err := mailbox{SMTPConfig{To: []string{"team@example.com", requester}}, test.addresses, clock}.recipients(t.Context(), test.about)
		if got := strings.Join(to, " "); err != nil || got != test.want {
			t.Errorf("%s: to %q (%v), want %q", name, got, err, test.want)
		}
	}
	c := mailbox{SMTPConfig{To: []string{requester}}, book{}, clock}
	e := anEvent("request", "succeeded", nil)
	if err := c.send(t.Context(), e.ID, e, by("user:default/ann"), message{}); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("while the catalog is down: %v, want to try again", err)
	}
	c.addresses = book{"user:default/ann": ""}
	if err := c.send(t.Context(), e.ID, e, by("user:default/ann"), message{}); err != nil {
		t.Errorf("nobody to write to: %v, which is no fault", err)
	}
}
