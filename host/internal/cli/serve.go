package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/delivery"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/draftorder"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/httpapi"
	"github.com/orderport/orderport/host/internal/metrics"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/queue"
	"github.com/orderport/orderport/host/internal/seal"
	"github.com/orderport/orderport/host/internal/settings"
)

type serveCommand struct {
	Dev     bool     `help:"For a first try on one machine: migrates the database, makes a master key if there is none, and runs connectors that nobody has trusted."`
	Attach  []string `help:"With --dev: call a connector that runs under a debugger, see ORDERPORT_DEBUG_ATTACH in the connector SDK." type:"path" placeholder:"FILE" sep:"none"`
	Migrate bool     `help:"Bring the database's schema up to date before starting."`
}

// host is a running host.
type host struct {
	set     settings.Settings
	log     *slog.Logger
	version string
	keyring *seal.Keyring

	db       *database
	payloads payload.Store
	plugins  *pluginhost.Host
	engine   *delivery.Engine
	queue    *queue.Queue
	server   *http.Server
	listener net.Listener

	// phase is "" once the host works; before and after, why it does not.
	phase atomic.Pointer[string]
}

// heapSlack lets the heap grow by 16 MiB, and not only by as much as is alive,
// before it is collected: a host keeps little and so would collect all the
// time. The pages are never touched, so they cost no memory.
func heapSlack(s *session) []byte {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := s.env.LookupEnv(name); set {
			return nil // the operator knows better
		}
	}
	return make([]byte, 16<<20)
}

// Run runs the host until it is told to stop.
func (c *serveCommand) Run(s *session) error {
	slack := heapSlack(s)
	defer runtime.KeepAlive(slack)
	set, err := s.settings()
	if err != nil {
		return err
	}
	if len(c.Attach) > 0 && !c.Dev {
		return usage("--attach works with --dev only: an attached connector is not checked, and gets configs in the clear")
	}
	started := time.Now()
	h := &host{set: set, log: s.logger(set), version: s.env.Version}
	h.setPhase("the host is starting")
	if err := c.prepare(s, h); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(h.listener) }()
	err = h.start(s.ctx)
	if err == nil {
		h.setPhase("")
		fmt.Fprintf(s.env.Stdout, "orderport is ready: http://%s (pages at /docs)\n", h.listener.Addr())
		h.log.Info("ready", "address", h.listener.Addr().String(), "took", time.Since(started).Round(time.Millisecond),
			"connectors", h.plugins.Types(), "database", h.db.address)
		if len(h.plugins.Types()) == 0 {
			h.log.Warn("no connector is ready, so nothing can be delivered; `orderport connector list` says why", "plugin_dir", h.set.PluginDir)
		}
		select {
		case <-s.ctx.Done():
			h.log.Info("stopping: what is under way may end", "grace", set.DrainGrace)
		case err = <-served:
		}
	}
	return errors.Join(err, h.stop())
}

// prepare opens everything and starts nothing but the listener. What it opens
// is closed with the session.
func (c *serveCommand) prepare(s *session, h *host) error {
	release, err := lockDataDir(h.set.DataDir)
	if err != nil {
		return err
	}
	s.closeWith(release)
	if err := c.openKeys(s, h); err != nil {
		return err
	}
	if h.listener, err = net.Listen("tcp", h.set.Listen); err != nil {
		return fault.New(fault.Unavailable, "listen_failed", "the address %s can't be listened on", h.set.Listen).
			WithHint("another program may have it; choose one with --listen").Because(err)
	}
	s.closeWith(func() error { _ = h.listener.Close(); return nil }) // closed already after a stop
	if h.payloads, err = s.openPayloads(h.set); err != nil {
		return err
	}
	open := s.openDatabase
	if c.Dev || c.Migrate {
		open = s.makeDatabase
	}
	if h.db, err = open(h.set, h.log); err != nil {
		return err
	}
	if err := c.migrate(s, h); err != nil {
		return err
	}
	options, err := s.pluginOptions(h.set)
	if err != nil {
		return err
	}
	options.Dev, options.Attach, options.Logger = c.Dev, c.Attach, h.log
	if h.plugins, err = pluginhost.Open(options); err != nil {
		return err
	}
	s.closeWith(func() error { return h.plugins.Stop(context.Background()) }) // in case it never came to a stop
	return h.wire()
}

func (c *serveCommand) openKeys(s *session, h *host) error {
	var err error
	if h.keyring, err = h.set.Keyring(); err == nil || !c.Dev {
		return err
	}
	key, err := devKey(h.set.DataDir)
	if err != nil {
		return err
	}
	h.keyring = seal.NewKeyring(key, h.set.PreviousKeys...)
	h.log.Warn("NOT FOR PRODUCTION: the master key lies next to the data that it seals. Set ENCRYPTION_MASTER_KEY",
		"file", filepath.Join(h.set.DataDir, devKeyFile))
	return nil
}

func (c *serveCommand) migrate(s *session, h *host) error {
	if !c.Dev && !c.Migrate {
		return h.db.mustBeMigrated(s.ctx)
	}
	applied, err := h.db.schema.Up(s.ctx)
	if len(applied) > 0 {
		h.log.Info("migrated the database", "steps", len(applied))
	}
	return err
}

// wire puts engine, queue, services and API together.
func (h *host) wire() error {
	measured := metrics.New(metrics.Options{Version: h.version, CountExports: h.db.CountExports, Connectors: h.plugins.Status})
	h.engine = delivery.New(delivery.Options{
		Store: h.db, Registry: h.plugins, Payloads: h.payloads, DecodeOrder: draftorder.DecodeCanonical,
		OpenConfig: func(c domain.Connection) ([]byte, error) { return h.keyring.Open(c.Sealed, seal.BindingOf(c)) },
		Logger:     h.log, Observer: measured, HostName: h.set.HostName, Version: h.version,
		HostID: uuid.New(), Predecessor: readHostID(h.set.DataDir), Registered: h.remember, Knobs: knobs(h.set),
	})
	var err error
	if h.queue, err = h.db.queue(queue.Options{Wake: h.engine.Wake, Logger: h.log}); err != nil {
		return err
	}
	handler := httpapi.New(httpapi.Config{
		Services: app.New(app.Deps{
			Store: h.db, Registry: h.plugins, Keyring: h.keyring, Payloads: h.payloads, Waker: h.engine,
			HostDeadAfter: h.set.HostDeadAfter,
		}),
		Ready: h.ready, Metrics: measured.Handler(), Observe: measured.Call, Unavailable: h.db.Unavailable,
		Log: h.log, Version: h.version,
	})
	h.server = httpapi.Serve(handler, h.log)
	return nil
}

// knobs turns the settings into the engine's.
func knobs(set settings.Settings) delivery.Knobs {
	k := delivery.Knobs{
		Concurrency: set.MaxInFlight, GlobalConcurrency: set.Workers, AttemptTimeout: set.AttemptTimeout,
		MaxFailures: set.MaxFailures, RetryFirst: set.RetryMin, RetryLongest: set.RetryMax,
		SweepEvery: set.PollInterval, BeatEvery: set.HeartbeatInterval, DeadAfter: set.HostDeadAfter,
		DrainGrace: set.DrainGrace, ProbeTimeout: set.TestTimeout,
	}
	k.Acks.Every = set.AckPollInterval
	return k
}

// start starts the connectors and everything that works by itself.
func (h *host) start(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := h.plugins.Start(groupCtx)
		if err != nil {
			err = fault.New(fault.Unavailable, "plugin_dir_unavailable", "the plugin directory %s can't be used", h.set.PluginDir).
				WithHint("set --plugin-dir or ORDERPORT_PLUGIN_DIR to the directory with the connectors").Because(err)
		}
		return err
	})
	group.Go(func() error { return h.queue.Start(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	return h.engine.Start(ctx)
}

// remember leaves the id of this host to whoever has the data directory next.
func (h *host) remember(id uuid.UUID) {
	if err := writeHostID(h.set.DataDir, id); err != nil {
		h.log.Error("the host's id could not be written; after a restart, what is under way waits some seconds longer", "error", err)
	}
}

// Grace periods of a stop, beyond the setting for attempts under way.
const (
	stopCalls = 10 * time.Second // calls of the API
	stopRest  = 15 * time.Second // queue, engine and connectors
)

// stop ends everything in the order in which nothing is lost: no more calls
// and wake-ups, then the attempts, then the connectors.
func (h *host) stop() error {
	h.setPhase("the host is stopping")
	ctx, cancel := context.WithTimeout(context.Background(), h.set.DrainGrace+stopRest)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return h.stopServer(ctx) })
	group.Go(func() error {
		return errors.Join(h.queue.Stop(ctx), h.engine.Stop(ctx))
	})
	err := errors.Join(group.Wait(), h.plugins.Stop(ctx))
	h.log.Info("stopped")
	return err
}

func (h *host) stopServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopCalls)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		// Who still sends may send again: nothing that was answered is lost.
		return h.server.Close()
	}
	return nil
}

func (h *host) setPhase(text string) { h.phase.Store(&text) }

// reason is what a failure says to users, or else a plain sentence.
func reason(err error, otherwise string) string {
	if f := fault.From(err); f.Kind != fault.Internal {
		return f.Message
	}
	return otherwise
}

// ready says what keeps the host from its work.
func (h *host) ready(ctx context.Context) []string {
	var reasons []string
	if phase := *h.phase.Load(); phase != "" {
		reasons = append(reasons, phase)
	}
	if err := h.db.Ping(ctx); err != nil {
		reasons = append(reasons, reason(err, "the database does not answer"))
	} else if err := h.engine.Unreachable(); err != nil {
		reasons = append(reasons, reason(err, "the database takes no writes"))
	}
	// A connector that fails later, or fails to start, is not the whole host's
	// affair: the others work. Metrics and `connector list` show it.
	return reasons
}
