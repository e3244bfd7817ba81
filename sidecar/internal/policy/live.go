package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	_ provision.Rules      = (*Live)(nil)
	_ provision.Authorizer = (*Live)(nil)
)

// Live is the bundle in force of a folder that may change. Each question is
// answered by one bundle, whole; a folder whose rules do not load, or whose own
// tests fail, leaves the last good one in force. It may be used from many
// goroutines.
type Live struct {
	files   fs.FS
	log     *slog.Logger
	adopt   func(*Bundle) error
	now     func() time.Time
	seen    string // digest of the files at the last look
	current atomic.Pointer[inForce]
	refused atomic.Pointer[refusedBundle]
}

type inForce struct {
	bundle *Bundle
	since  time.Time
	source string // digest of the files, tests included
}

// refusedBundle is what the folder holds now and was not taken.
type refusedBundle struct {
	source string
	err    error
}

// LiveConfig is what a Live needs.
type LiveConfig struct {
	Files fs.FS
	Log   *slog.Logger
	// Adopt is told of each bundle before it is in force, the first included; its
	// error refuses the bundle. It is how prices follow. May be nil.
	Adopt func(*Bundle) error
	Now   func() time.Time // nil is time.Now
}

// NewLive loads the bundle once; what cannot be loaded then is an error, so that
// nothing is ever decided without policies.
func NewLive(c LiveConfig) (*Live, error) {
	l := &Live{files: c.Files, log: c.Log, adopt: c.Adopt, now: c.Now}
	if l.adopt == nil {
		l.adopt = func(*Bundle) error { return nil }
	}
	if l.now == nil {
		l.now = time.Now
	}
	src, err := readSource(l.files)
	if err != nil {
		return nil, err
	}
	bundle, err := src.load()
	if err != nil {
		return nil, err
	}
	if err := l.adopt(bundle); err != nil {
		return nil, err
	}
	l.current.Store(&inForce{bundle, l.now(), src.whole()})
	return l, nil
}

// Run looks at the folder each interval until ctx ends, and then returns nil.
func (l *Live) Run(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			l.Look(ctx)
		}
	}
}

// Look takes what the folder holds, if it differs from what is in force, has
// not changed since the last look (a folder that is being written is not yet
// what its author means), and is good. What is refused is logged once for each
// state of the folder. It reports whether another bundle is in force than
// before. One goroutine at a time may call it.
func (l *Live) Look(ctx context.Context) bool {
	src, err := readSource(l.files)
	if err != nil {
		l.refuse(err.Error(), err)
		return false
	}
	source := src.whole()
	settled := source == l.seen
	l.seen = source
	switch last := l.refused.Load(); {
	case source == l.current.Load().source:
		l.refused.Store(nil) // it has been put back
		return false
	case !settled || last != nil && last.source == source:
		return false
	}
	bundle, err := src.good(ctx)
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		err = l.adopt(bundle)
	}
	if err != nil {
		l.refuse(source, err)
		return false
	}
	before := l.current.Load()
	l.refused.Store(nil)
	if bundle.digest == before.bundle.digest { // only tests have changed
		l.current.Store(&inForce{before.bundle, before.since, source})
		return false
	}
	l.current.Store(&inForce{bundle, l.now(), source})
	l.log.Info("policies replaced", "bundle", bundle.digest, "before", before.bundle.digest)
	return true
}

// good is the source's bundle, when its own tests pass. It need not have any: a
// folder that is mounted for the sidecar alone may have left them behind.
func (src source) good(ctx context.Context) (*Bundle, error) {
	bundle, err := src.load()
	if err != nil || len(src.production()) == len(src.files) {
		return bundle, err
	}
	report, err := src.test(ctx)
	if err != nil {
		return nil, err
	}
	if failed := report.Failed(); len(failed) > 0 {
		return nil, fmt.Errorf("%d of the policies' own tests fail, the first is %s at %s:%d",
			len(failed), failed[0].Name, failed[0].File, failed[0].Line)
	}
	return bundle, nil
}

func (l *Live) refuse(source string, err error) {
	if last := l.refused.Load(); last != nil && last.source == source {
		return
	}
	l.refused.Store(&refusedBundle{source, err})
	l.log.Error("policies refused; the last good ones stay in force", "bundle", l.Digest(), "err", err)
}

// Bundle is the bundle in force; never nil.
func (l *Live) Bundle() *Bundle { return l.current.Load().bundle }

// Digest names the bundle in force.
func (l *Live) Digest() string { return l.Bundle().digest }

// Age is how long the bundle has been in force.
func (l *Live) Age() time.Duration { return l.now().Sub(l.current.Load().since) }

// Err is why the folder's present content is not in force; nil when it is.
func (l *Live) Err() error {
	if refused := l.refused.Load(); refused != nil {
		return refused.err
	}
	return nil
}

// Findings implements provision.Rules.
func (l *Live) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	return l.Bundle().Findings(ctx, input)
}

// Allowance implements provision.Rules.
func (l *Live) Allowance(ctx context.Context, input provision.RuleInput) (*provision.Allowance, error) {
	return l.Bundle().Allowance(ctx, input)
}

// Allow implements provision.Authorizer.
func (l *Live) Allow(ctx context.Context, a provision.Access) error {
	return l.Bundle().Allow(ctx, a)
}

// whole covers every file, tests included.
func (s source) whole() string {
	sum := sha256.New()
	for _, name := range s.paths(func(string) bool { return true }) {
		_, _ = fmt.Fprintf(sum, "%q %d\n", name, len(s.files[name])) // a hash never fails to write
		sum.Write(s.files[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}
