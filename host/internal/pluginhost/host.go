package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost/launch"
	"github.com/orderport/orderport/host/internal/pluginhost/lock"
	"github.com/orderport/orderport/host/internal/pluginhost/record"
	"github.com/orderport/orderport/host/internal/pluginhost/redact"
	"github.com/orderport/orderport/host/internal/pluginhost/rundir"
	sdkport "github.com/orderport/orderport/sdk/port"
)

// Host runs the connectors of one plugin directory. It implements
// connector.Registry. Between Open and Start it knows no connector.
type Host struct {
	opts     Options
	log      *slog.Logger
	env      []string // what every connector gets
	redact   *redact.Redactor
	dir      *rundir.Dir
	launcher *launch.Launcher
	recorder *record.Recorder

	ctx        context.Context // ends all units
	cancel     context.CancelFunc
	halted     chan struct{}  // closed when calls under way get no more time
	background sync.WaitGroup // the scanner, units and drains

	scanning sync.Mutex // one scan at a time; guards lockSeen and missing
	lockSeen stamp
	missing  map[string]bool // files that the last scan missed

	mu       sync.Mutex
	units    map[string]*unit // by file name
	isolated []*isolate       // one for each port that Isolated made
	lock     *lock.File       // as last read; nil: not yet
	started  bool
	stopped  bool

	routing sync.Mutex // one rebuild at a time, so that the newest wins
	routes  atomic.Pointer[routes]
}

var _ connector.Registry = (*Host)(nil)

// errStopped is the reason of calls after Stop.
var errStopped = errors.New("the host is stopping")

// Open prepares a host: it makes its private directory, and sweeps what killed
// hosts left in RunDir. Nothing is launched yet. Stop releases it, also if
// Start was never called.
func Open(opts Options) (*Host, error) {
	opts = opts.withDefaults()
	if err := opts.checkAttach(); err != nil {
		return nil, err
	}
	dir, err := rundir.Open(opts.RunDir, opts.Logger)
	if err != nil {
		return nil, err
	}
	launcher, err := launch.NewLauncher()
	if err != nil {
		dir.Close()
		return nil, err
	}
	h := &Host{
		opts: opts, log: opts.Logger, redact: redact.New(), dir: dir, launcher: launcher,
		env:    connectorEnv(opts),
		halted: make(chan struct{}), missing: map[string]bool{},
		units: map[string]*unit{},
	}
	h.recorder = record.New(opts.RecordDir, h.log, h.redact.String)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.routes.Store(&routes{})
	return h, nil
}

// connectorEnv is the environment that all connectors share. They log at the
// level that the host logs at.
func connectorEnv(opts Options) []string {
	env := launch.Environment(hostEnviron(), opts.PassEnv)
	level := slog.LevelError
	for _, l := range []slog.Level{slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		if opts.Logger.Enabled(context.Background(), l) {
			level = l
		}
	}
	return append(env, sdkport.LogLevelEnv+"="+strings.ToLower(level.String()))
}

// Start looks through the plugin directory and launches what may run, all at
// once. It returns when every connector is ready or has failed, but waits for
// the slow ones only as long as Limits.Settle says: they go on starting. Only
// an unreadable plugin directory is an error.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	if h.started || h.stopped {
		h.mu.Unlock()
		return errors.New("plugin host: started twice")
	}
	h.started = true
	h.mu.Unlock()
	h.recorder.Look()
	if err := h.scan(ctx, true); err != nil {
		return err
	}
	settleCtx, cancel := context.WithTimeout(ctx, h.opts.Limits.Settle)
	defer cancel()
	h.settle(settleCtx)
	h.background.Go(h.watch)
	return nil
}

// settle waits until no start is under way.
func (h *Host) settle(ctx context.Context) {
	for _, u := range h.all() {
		for {
			u.mu.Lock()
			starting, changed := u.starting, u.changed
			u.mu.Unlock()
			if starting == 0 {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Stop ends all connectors. Calls under way may end as long as ctx allows; new
// ones fail. It returns when no process is left. It may be called twice.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return nil
	}
	h.stopped = true
	isolated := h.isolated // none is added any more
	h.mu.Unlock()

	timer := context.AfterFunc(ctx, func() { close(h.halted) })
	defer timer()
	h.cancel()
	var wg sync.WaitGroup
	for _, i := range isolated {
		wg.Go(i.close)
	}
	wg.Wait()
	h.background.Wait()
	h.launcher.Close()
	return h.dir.Close()
}

// all lists the units by file name.
func (h *Host) all() []*unit {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*unit, 0, len(h.units))
	for _, u := range h.units {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b *unit) int { return strings.Compare(a.file, b.file) })
	return out
}

// admit has the last word before a binary is registered: what it advertises
// must be what the lock pins.
func (h *Host) admit(file string, id *identity) error {
	h.mu.Lock()
	lockFile := h.lock
	h.mu.Unlock()
	if h.opts.Dev {
		return nil
	}
	d := id.describe
	if err := lockFile.VerifyIdentity(file, d.GetConnectorType(), d.GetVersion()); err != nil {
		return fmt.Errorf("%w: %w", errIdentity, err)
	}
	return nil
}

// watch looks at the plugin directory again and again until the host stops.
func (h *Host) watch() {
	tick := time.NewTicker(h.opts.Limits.Scan)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		h.recorder.Look()
		if err := h.scan(h.ctx, false); err != nil && h.ctx.Err() == nil {
			h.log.Warn("plugin directory can't be read", "dir", h.opts.Dir, "error", err)
		}
	}
}
