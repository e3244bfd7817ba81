package devenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// PortalConfig says how to start the Backstage portal of deploy/backstage.
type PortalConfig struct {
	Dir       string // the workspace, installed and built
	Node      string // a Node.js binary of version 22 or newer
	URL       string // where people open it: http://localhost:<port>
	Port      int
	Sidecar   string // base of the sidecar's API
	Catalog   string // backstage-templates/catalog.yaml, absolute
	Postgres  PostgresAddress
	Log       io.Writer
	ExtraYAML []string // more app-config files, for tests
}

// PostgresAddress is how a Node.js program reaches a cluster.
type PostgresAddress struct {
	Host, User, Password string
	Port                 int
}

// RunPortal runs the portal until ctx ends, then stops it gracefully. It calls
// ready once, when the portal answers. It returns nil after a stop, else why it
// ended.
func RunPortal(ctx context.Context, c PortalConfig, ready func()) error {
	args := []string{"src/index.ts", "--config", "../../app-config.yaml"}
	for _, file := range c.ExtraYAML {
		args = append(args, "--config", file)
	}
	cmd := exec.CommandContext(ctx, c.Node, args...)
	cmd.Dir = filepath.Join(c.Dir, "packages", "backend")
	cmd.Env = append(os.Environ(),
		"NODE_ENV=production",
		"NODE_OPTIONS=",
		"PORTAL_BASE_URL="+c.URL,
		fmt.Sprintf("PORTAL_PORT=%d", c.Port),
		"PORTAL_PG_HOST="+c.Postgres.Host,
		fmt.Sprintf("PORTAL_PG_PORT=%d", c.Postgres.Port),
		"PORTAL_PG_USER="+c.Postgres.User,
		"PORTAL_PG_PASSWORD="+c.Postgres.Password,
		"ROADBED_BASE_URL="+c.Sidecar,
		"ROADBED_CATALOG="+c.Catalog,
		"ROADBED_ORG="+filepath.Join(c.Dir, "examples", "org.yaml"),
	)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches it once, from us
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start portal: %w", err)
	}
	go func() {
		if waitReady(ctx, fmt.Sprintf("http://127.0.0.1:%d/.backstage/health/v1/readiness", c.Port)) == nil {
			ready()
		}
	}()
	err := cmd.Wait()
	if ctx.Err() != nil { // it was told to stop
		return nil
	}
	if err == nil {
		return errors.New("the portal stopped by itself; its log says why")
	}
	return fmt.Errorf("the portal stopped: %w; its log says why", err)
}

// waitReady polls a URL until it answers 200.
func waitReady(ctx context.Context, url string) error {
	client := &http.Client{Timeout: 5 * time.Second}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
