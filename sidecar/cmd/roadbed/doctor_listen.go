package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// examineListeners looks whether the addresses to serve on can be had. One that
// is in use is the running sidecar's own, when it answers as one.
func (c sidecarConfig) examineListeners(ctx context.Context, e *examination) {
	for _, l := range []struct{ name, variable, address, answers string }{
		{"listen", "ROADBED_LISTEN", c.Listen, "/.backstage/health/v1/liveness"},
		{"metrics listen", "ROADBED_METRICS_LISTEN", c.Metrics, "/metrics"},
		{"feed listen", "ROADBED_FEED_LISTEN", c.Feed.Listen, "/"},
	} {
		if l.address == "" {
			continue
		}
		wayOut := "give another address: " + l.variable + "=<host:port>"
		listener, err := net.Listen("tcp", l.address)
		switch {
		case err == nil:
			_ = listener.Close() // it was only tried
			e.ok(l.name, "%s is free", l.address)
		case errors.Is(err, syscall.EADDRINUSE) && answersHTTP(ctx, l.address, l.answers):
			e.ok(l.name, "a server answers at %s", l.address)
		default:
			e.fail(l.name, wayOut, "%v", oneLineOf(err))
		}
	}
}

// answersHTTP reports whether something speaks HTTP on an address of this machine.
func answersHTTP(ctx context.Context, address, path string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	response, err := getOnce(ctx, "http://"+net.JoinHostPort(host, port)+path)
	if err != nil {
		return false
	}
	return response.StatusCode < http.StatusInternalServerError
}

// getOnce asks for a page, within 5 s, and reads no body.
func getOnce(ctx context.Context, address string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	return response, response.Body.Close()
}

// examineFeed looks at the secret that the feed's paths hold.
func (c sidecarConfig) examineFeed(e *examination) {
	if c.Feed.Listen == "" {
		return
	}
	e.private("feed secret mode", c.Feed.Secret)
	secret, err := os.ReadFile(c.Feed.Secret)
	wayOut := "openssl rand -hex 32 > " + c.Feed.Secret
	switch {
	case c.Feed.Secret == "": // the settings say so
	case err != nil:
		e.fail("feed secret", wayOut, "%v", oneLineOf(err))
	case len(strings.TrimSpace(string(secret))) < 32:
		e.fail("feed secret", wayOut, "it is shorter than 32 characters")
	default:
		e.ok("feed secret", "read")
	}
}

// examinePortal looks whether links lead somewhere.
func (c sidecarConfig) examinePortal(ctx context.Context, e *examination) {
	if c.Portal == "" {
		e.warn("portal", "ROADBED_PORTAL_URL=<where people open Backstage>", "its address is not set: links in mails, in chat and in pull requests lead nowhere")
		return
	}
	if _, err := getOnce(ctx, c.Portal); err != nil {
		e.warn("portal", "correct ROADBED_PORTAL_URL; people may reach it from where they are", "this machine does not reach %s: %v", c.Portal, oneLineOf(err))
		return
	}
	e.ok("portal", "%s answers", c.Portal)
}

// examineDecisionLog looks whether verdicts can be written where they are to be.
func (c sidecarConfig) examineDecisionLog(ctx context.Context, e *examination) {
	switch {
	case c.DecisionLog == "":
	case strings.HasPrefix(c.DecisionLog, "http://"), strings.HasPrefix(c.DecisionLog, "https://"):
		if _, err := getOnce(ctx, c.DecisionLog); err != nil {
			e.warn("decision log", "start that service, or correct ROADBED_DECISION_LOG", "it cannot be reached, and verdicts wait for it: %v", oneLineOf(err))
			return
		}
		e.ok("decision log", "its service answers")
	default:
		e.writable("decision log", filepath.Dir(c.DecisionLog), "ROADBED_DECISION_LOG")
	}
}

// writable looks whether files can be made in a folder that a setting names.
func (e *examination) writable(name, dir, variable string) {
	wayOut := "mkdir -p " + dir + " && chown <Roadbed's user> " + dir + "\nor name another folder in " + variable
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		e.fail(name, wayOut, "nothing can be written to %s: %v", dir, oneLineOf(err))
		return
	}
	_ = probe.Close() // it is empty
	_ = os.Remove(probe.Name())
	e.ok(name, "%s can be written to", dir)
}

// aged is how old a key may be before its rotation is thought of.
const aged = 400 * 24 * time.Hour

// age looks how long ago the newest of a key's files was written.
func (e *examination) age(name, wayOut string, files ...string) {
	var newest time.Time
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if old := time.Since(newest); !newest.IsZero() && old > aged {
		e.warn(name, wayOut, "it was made %d days ago", int(old.Hours()/24))
	}
}

// reported tells what became of several things that were looked at, by name.
func (e *examination) reported(what, wayOut, well string, found map[string]error) {
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err := found[name]; err != nil {
			e.fail(what+" "+name, wayOut, "%v", oneLineOf(err))
			continue
		}
		e.ok(what+" "+name, "%s", well)
	}
}
