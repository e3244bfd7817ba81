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
	_ provision.Calendar   = (*Live)(nil)
)

// Live is the bundle in force where policies may change: in a folder, or at a
// Service. Each question is answered by one bundle, whole; rules that do not
// load, or whose own tests fail, leave the last good ones in force. It may be
// used from many goroutines.
type Live struct {
	files   fs.FS
	log     *slog.Logger
	adopt   func(*Bundle) error
	now     func() time.Time
	begin   func() (done func(error))
	seen    string                  // digest of the files at the last look
	current atomic.Pointer[inForce] // nil until there has been a good bundle, for a Service alone
	refused atomic.Pointer[refusedBundle]
}

type inForce struct {
	bundle *Bundle
	since  time.Time
	source string // digest of the files, tests included
}

// refusedBundle is what is offered now and was not taken.
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
	Now   func() time.Time          // nil is time.Now
	Begin func() (done func(error)) // is told of each look of Run, and of its end; nil: nobody is
}

// NewLive loads the bundle once; what cannot be loaded then is an error, so that
// nothing is ever decided without policies.
func NewLive(c LiveConfig) (*Live, error) {
	l := newLive(c)
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

func newLive(c LiveConfig) *Live {
	l := &Live{files: c.Files, log: c.Log, adopt: c.Adopt, now: c.Now, begin: c.Begin}
	if l.adopt == nil {
		l.adopt = func(*Bundle) error { return nil }
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.begin == nil {
		l.begin = func() func(error) { return func(error) {} }
	}
	return l
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
			done := l.begin()
			l.Look(ctx)
			done(nil) // what is refused is told by Err
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
	if !settled && source != l.current.Load().source {
		return false
	}
	return l.take(ctx, src)
}

// take puts what is offered in force if it differs from what is, and is good;
// what was refused before is not tried again. It reports whether another bundle
// is in force than before.
func (l *Live) take(ctx context.Context, src source) bool {
	source, before := src.whole(), l.current.Load()
	switch last := l.refused.Load(); {
	case before != nil && source == before.source:
		l.refused.Store(nil) // it has been put back
		return false
	case last != nil && last.source == source:
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
	l.refused.Store(nil)
	if before == nil {
		l.current.Store(&inForce{bundle, l.now(), source})
		l.log.Info("policies in force", "bundle", bundle.digest)
		return true
	}
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

// bundle is what is in force; Unavailable while a Service has never given any.
func (l *Live) bundle() (*Bundle, error) {
	if current := l.current.Load(); current != nil {
		return current.bundle, nil
	}
	return nil, provision.Errorf(provision.Unavailable, "no policies have been received yet, and without policies nothing is allowed; the platform team must make the policy bundle service answer")
}

// Digest names the bundle in force, "" when there is none.
func (l *Live) Digest() string {
	if current := l.current.Load(); current != nil {
		return current.bundle.digest
	}
	return ""
}

// Age is how long the bundle has been in force; 0 when there is none.
func (l *Live) Age() time.Duration {
	if current := l.current.Load(); current != nil {
		return l.now().Sub(current.since)
	}
	return 0
}

// Err is why what is offered now is not in force; nil when it is.
func (l *Live) Err() error {
	if refused := l.refused.Load(); refused != nil {
		return refused.err
	}
	return nil
}

// Ready is nil while any policies are in force, and Unavailable otherwise.
func (l *Live) Ready() error {
	_, err := l.bundle()
	return err
}

// Findings implements provision.Rules.
func (l *Live) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	bundle, err := l.bundle()
	if err != nil {
		return nil, "", err
	}
	return bundle.Findings(ctx, input)
}

// Allowance implements provision.Rules.
func (l *Live) Allowance(ctx context.Context, input provision.RuleInput) (*provision.Allowance, error) {
	bundle, err := l.bundle()
	if err != nil {
		return nil, err
	}
	return bundle.Allowance(ctx, input)
}

// Budgets implements provision.Rules.
func (l *Live) Budgets(ctx context.Context, scopes []provision.Scope) ([]provision.Budget, error) {
	bundle, err := l.bundle()
	if err != nil {
		return nil, err
	}
	return bundle.Budgets(ctx, scopes)
}

// Allow implements provision.Authorizer.
func (l *Live) Allow(ctx context.Context, a provision.Access) error {
	bundle, err := l.bundle()
	if err != nil {
		return err
	}
	return bundle.Allow(ctx, a)
}

// Holds implements provision.Calendar.
func (l *Live) Holds(ctx context.Context, input provision.HoldInput) ([]provision.Hold, error) {
	bundle, err := l.bundle()
	if err != nil {
		return nil, err
	}
	return bundle.Holds(ctx, input)
}

// Upcoming implements provision.Calendar.
func (l *Live) Upcoming(ctx context.Context, environments []string, at time.Time) ([]provision.CalendarEntry, error) {
	bundle, err := l.bundle()
	if err != nil {
		return nil, err
	}
	return bundle.Upcoming(ctx, environments, at)
}

// Exemptions implements provision.Calendar.
func (l *Live) Exemptions(at time.Time) ([]provision.Exemption, error) {
	bundle, err := l.bundle()
	if err != nil {
		return nil, err
	}
	return bundle.Exemptions(at)
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
