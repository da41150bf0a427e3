package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/orderport/orderport/host/internal/pluginhost/connlog"
	"github.com/orderport/orderport/host/internal/pluginhost/image"
	"github.com/orderport/orderport/host/internal/pluginhost/launch"
	"github.com/orderport/orderport/host/internal/pluginhost/record"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/recording"
	"github.com/orderport/orderport/sdk/tunnel"
)

// instance is one process that has described itself, with the calls that it is
// serving.
type instance struct {
	id      *identity
	proc    *launch.Process
	sink    *connlog.Sink
	client  connectorv1.ConnectorServiceClient
	tunnel  *tunnel.Client                     // nil: the connector serves none
	through connectorv1.ConnectorServiceClient // the tunnel's, for exports of ordinary size
	started time.Time
	took    time.Duration // from the fork to the answer to Describe

	mu       sync.Mutex
	inFlight int
	answered bool          // a call has ended with an answer
	retired  bool          // takes no more calls
	idle     chan struct{} // closed when retired and nothing is in flight
}

// recorded is what a recording says of the connector. Nothing is recorded
// before Describe has been answered.
func (i *instance) recorded() record.Identity {
	d := i.id.describe
	return record.Identity{Type: d.GetConnectorType(), Version: d.GetVersion(), SHA256: i.id.sha256, Schema: i.id.schema}
}

// enter registers a call. false: the instance takes no more calls.
func (i *instance) enter() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.retired {
		return false
	}
	i.inFlight++
	return true
}

// leave ends a call that enter has let in.
func (i *instance) leave(answered bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.inFlight--
	i.answered = i.answered || answered
	if i.retired && i.inFlight == 0 {
		close(i.idle)
	}
}

// retire refuses new calls from now on. The channel is closed when the last
// one has ended.
func (i *instance) retire() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.retired {
		i.retired = true
		if i.inFlight == 0 {
			close(i.idle)
		}
	}
	return i.idle
}

func (i *instance) isRetired() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.retired
}

func (i *instance) calls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.inFlight
}

func (i *instance) hasAnswered() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.answered
}

// productive says whether the process did or lasted enough for its death not
// to look like that of a broken binary.
func (i *instance) productive(healthy time.Duration) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.answered || time.Since(i.started) >= healthy
}

// start launches an image and asks it to describe itself. On an error nothing
// of the process remains.
func (h *Host) start(ctx context.Context, file string, img *image.Image) (*instance, error) {
	begin := time.Now()
	sink := connlog.NewSink(h.log.With("connector", file), h.redact.String)
	startCtx, cancel := context.WithTimeoutCause(ctx, h.opts.Limits.Start,
		fmt.Errorf("no handshake within %s", h.opts.Limits.Start))
	defer cancel()
	proc, err := h.process(startCtx, file, img, sink)
	if err != nil {
		return nil, err
	}
	inst := &instance{proc: proc, sink: sink, started: begin, idle: make(chan struct{})}
	inst.client = connectorv1.NewConnectorServiceClient(recording.Wrap(proc.Conn(), h.recorder.Of(inst.recorded)))
	if inst.id, err = h.describe(ctx, inst, img.SHA256); err != nil {
		h.end(proc, 0, "unusable")
		return nil, err
	}
	inst.took = time.Since(begin)
	h.openTunnel(ctx, inst)
	if !proc.Attached() { // that one may stand still at a breakpoint
		go h.watchPulse(inst)
	}
	return inst, nil
}

// tunnelTime is how long a connector may take to open the tunnel.
const tunnelTime = time.Second

// openTunnel makes exports cheaper where the connector lets it. One that does not
// is as good as any.
func (h *Host) openTunnel(ctx context.Context, inst *instance) {
	ctx, cancel := context.WithTimeout(ctx, tunnelTime)
	defer cancel()
	opened, err := tunnel.Dial(ctx, inst.proc.Conn())
	switch {
	case err == nil:
		inst.tunnel = opened
		inst.through = connectorv1.NewConnectorServiceClient(recording.Wrap(opened, h.recorder.Of(inst.recorded)))
		go h.watchTunnel(inst)
	case status.Code(err) != codes.Unimplemented:
		h.withoutTunnel(inst, err.Error())
	}
}

// watchTunnel ends with the tunnel, which ends with the process at the latest.
func (h *Host) watchTunnel(inst *instance) {
	<-inst.tunnel.Broken()
	if !inst.isRetired() && !ended(inst.proc, deathNotice) {
		h.withoutTunnel(inst, "it has ended")
	}
}

func (h *Host) withoutTunnel(inst *instance, reason string) {
	h.log.Warn("the connector's tunnel can't be used; each export gets a stream of its own",
		"type", inst.id.describe.GetConnectorType(), "reason", h.redact.String(reason))
}

// process starts an image, or attaches to what it stands for.
func (h *Host) process(ctx context.Context, file string, img *image.Image, sink *connlog.Sink) (*launch.Process, error) {
	if to, ok := img.Attached(); ok {
		return h.launcher.Attach(ctx, file, to, sink)
	}
	return h.launcher.Start(ctx, launch.Spec{
		Name: file, Image: img, Sockets: h.dir.Sockets(), Env: h.env, Sink: sink,
	})
}

// end stops a process that nobody calls any more.
func (h *Host) end(p *launch.Process, grace time.Duration, reason string) {
	if err := p.Stop(grace, reason); err != nil {
		h.log.Error("connector process can't be ended", "error", err)
	}
}

// end stops the instance's process. A tunnel that stays open could keep it from
// ending by itself.
func (i *instance) end(h *Host, reason string) {
	if i.tunnel != nil {
		i.tunnel.Close()
	}
	h.end(i.proc, h.opts.Limits.Stop, reason)
}

// stopInBackground ends an instance that never got a call.
func (i *instance) stopInBackground(h *Host, reason string) {
	h.background.Go(func() { i.end(h, reason) })
}

func (h *Host) describe(ctx context.Context, inst *instance, sha256 string) (*identity, error) {
	ctx, cancel := context.WithTimeout(ctx, h.opts.Limits.Describe)
	defer cancel()
	answer, err := inst.client.Describe(ctx, &connectorv1.DescribeRequest{})
	if err == nil {
		return newIdentity(answer, sha256)
	}
	if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded {
		return nil, fmt.Errorf("no answer to Describe within %s", h.opts.Limits.Describe)
	}
	if ended(inst.proc, deathNotice) {
		return nil, fmt.Errorf("ended during Describe: %s", inst.proc.Exit())
	}
	st := status.Convert(err)
	return nil, fmt.Errorf("describe failed: %s: %s", st.Code(), h.redact.String(st.Message()))
}

// watchPulse pings a process for as long as it lives, and ends one that does
// not answer. Without it a stopped process would keep its calls until their
// deadlines.
func (h *Host) watchPulse(inst *instance) {
	misses := 0
	tick := time.NewTicker(h.opts.Limits.PingEvery)
	defer tick.Stop()
	for {
		if misses == 0 {
			select {
			case <-inst.proc.Done():
				return
			case <-tick.C:
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), h.opts.Limits.PingTimeout)
		err := inst.proc.Ping(ctx)
		cancel()
		switch {
		case err == nil:
			misses = 0
		case ended(inst.proc, deathNotice): // by itself: nothing to end, nothing to blame the host for
			return
		case misses == 1:
			inst.proc.Kill(fmt.Sprintf("no answer to two pings of %s each", h.opts.Limits.PingTimeout))
			return
		default:
			misses++
		}
	}
}

// deathNotice is how long a broken call waits to learn whether the process
// behind it has died.
const deathNotice = 500 * time.Millisecond

// ended says whether a process ends within d.
func ended(p *launch.Process, d time.Duration) bool {
	select {
	case <-p.Done():
		return true
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.Done():
		return true
	case <-t.C:
		return false
	}
}

// hopeless says whether a start failed in a way that another try would, too.
func hopeless(err error) bool {
	for _, target := range []error{errIdentity, image.ErrNotExecutable, fs.ErrPermission, fs.ErrNotExist, syscall.ENOEXEC, launch.ErrAddress} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
