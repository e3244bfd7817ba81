// Package devenv is what `roadbed dev` starts beside the sidecar: private
// PostgreSQL clusters, an embedded NATS server and a Backstage portal, all on
// loopback and all kept in one folder. Nothing outside cmd/roadbed and the
// tests may import it: `roadbed serve` must not be able to start any of it.
package devenv

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Site is what one development environment has chosen: its ports and secrets.
// It is kept in its folder, so that addresses stay the same over restarts.
type Site struct {
	Dir           string `json:"-"`
	SidecarPort   int    `json:"sidecar_port"`
	NATSPort      int    `json:"nats_port"`
	PortalPort    int    `json:"portal_port"`
	PostgresPort  int    `json:"postgres_port"`     // of the cluster of Roadbed and the portal
	DatabasesPort int    `json:"databases_port"`    // of the cluster where databases are made: part of their endpoints
	NATSToken     string `json:"nats_token"`        // of the sidecar's user
	NATSWorker    string `json:"nats_worker_token"` // of the worker's, which may do less
	PoolToken     string `json:"pool_token"`
}

// File names in a site's folder.
const (
	siteFile     = "site.json"
	identityFile = "identity.pem"
)

// OpenSite reads the site of a folder, or makes a new one with free ports and
// fresh secrets. Ports that something else has taken since are replaced.
func OpenSite(dir string) (*Site, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	site := &Site{Dir: dir}
	switch known, err := ReadSite(dir); {
	case err == nil:
		site = known
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if pid, running := site.Running(); running {
		return nil, site.taken(pid)
	}
	for _, port := range []*int{&site.SidecarPort, &site.NATSPort, &site.PortalPort, &site.PostgresPort, &site.DatabasesPort} {
		if *port, err = freePort(*port); err != nil {
			return nil, err
		}
	}
	for _, secret := range []*string{&site.NATSToken, &site.NATSWorker, &site.PoolToken} {
		if *secret == "" {
			*secret = randomHex()
		}
	}
	return site, site.save()
}

// ReadSite reads the site of a folder; fs.ErrNotExist when none was ever made.
func ReadSite(dir string) (*Site, error) {
	raw, err := os.ReadFile(filepath.Join(dir, siteFile))
	if err != nil {
		return nil, fmt.Errorf("read site: %w", err)
	}
	site := &Site{Dir: dir}
	if err := json.Unmarshal(raw, site); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, siteFile), err)
	}
	return site, nil
}

func (s *Site) save() error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode site: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, siteFile), raw, 0o600); err != nil {
		return fmt.Errorf("write site: %w", err)
	}
	return nil
}

// Path is a path inside the site's folder.
func (s *Site) Path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

// IdentityFile is where the key of the dev-only identity is kept.
func (s *Site) IdentityFile() string { return s.Path(identityFile) }

// SidecarURL is the base of the sidecar's API.
func (s *Site) SidecarURL() string {
	return fmt.Sprintf("http://127.0.0.1:%d/api/roadbed", s.SidecarPort)
}

// PortalURL is where the portal is opened.
func (s *Site) PortalURL() string { return fmt.Sprintf("http://localhost:%d", s.PortalPort) }

// NATSSidecar is the user of the site's NATS server that may do all.
func (s *Site) NATSSidecar() NATSUser { return NATSUser{Name: "sidecar", Password: s.NATSToken} }

// NATSURL is how to reach the site's NATS server as the sidecar.
func (s *Site) NATSURL() string { return NATSURL(s.NATSPort, s.NATSSidecar()) }

// freePort is want when it can be listened on, else a port that can.
func freePort(want int) (int, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", want))
	if err != nil && want != 0 {
		return freePort(0)
	}
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func randomHex() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails: it ends the process instead
	return hex.EncodeToString(b)
}
