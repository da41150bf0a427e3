package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/orderport/orderport/host/internal/pluginhost/connlog"
	"github.com/orderport/orderport/host/internal/pluginhost/image"
	"github.com/orderport/orderport/host/internal/pluginhost/rundir"
	"github.com/orderport/orderport/sdk/port"
)

// Bounds on the end of a process.
const (
	drainTime = 200 * time.Millisecond // for its last output
	termTime  = time.Second            // from SIGTERM to SIGKILL
	reapTime  = 3 * time.Second        // from SIGKILL until it is given up
)

// Spec says what to run.
type Spec struct {
	Name    string // file name of the binary
	Image   *image.Image
	Sockets string        // directory in which the process gets a private folder
	Env     []string      // see Environment
	Sink    *connlog.Sink // takes all output
}

// Process is one running connector. It is safe for concurrent use.
type Process struct {
	spec     Spec
	launcher *Launcher
	client   *plugin.Client
	conn     *grpc.ClientConn
	letGo    chan struct{} // of an attached process, closed to let go of it; nil: it is ours
	done     chan struct{} // closed when the process has ended and exit is set
	cleaned  chan struct{} // closed when nothing of it is left

	mu      sync.Mutex
	dir     string      // private folder with the socket
	os      *os.Process // nil: not forked
	reaped  bool        // its number may belong to somebody else
	byHost  string      // why the host ends it
	refusal error       // what was wrong with its handshake

	exit Exit // set before done is closed
}

// Start runs a process and returns once it can be called. If it can't be, or
// ctx ends first, nothing of it remains, and the error says why in words for
// an operator.
func (l *Launcher) Start(ctx context.Context, spec Spec) (*Process, error) {
	p := &Process{spec: spec, launcher: l, done: make(chan struct{}), cleaned: make(chan struct{})}
	connected := make(chan error, 1)
	go func() { connected <- p.connect() }()
	select {
	case err := <-connected:
		if err == nil {
			return p, nil
		}
		err = p.explain(err)
		p.abandon()
		return nil, err
	case <-ctx.Done():
		p.Kill("not ready in time")
		awaitErr(connected, reapTime)
		p.abandon()
		err := fmt.Errorf("not ready in time: %w", context.Cause(ctx))
		if word := p.spec.Sink.LastWord(); word != "" {
			err = fmt.Errorf("%w; last output: %s", err, word)
		}
		return nil, err
	}
}

// connect lets go-plugin shake hands and dial. It has no deadline of its own:
// the death of the process ends it.
func (p *Process) connect() error {
	p.client = plugin.NewClient(p.clientConfig())
	if _, err := p.client.Start(); err != nil {
		return err
	}
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(port.PluginName)
	if err != nil {
		return err
	}
	p.conn = raw.(*grpc.ClientConn)
	return nil
}

// explain says why a start failed. What the process did tells more than what
// go-plugin noticed of it.
func (p *Process) explain(err error) error {
	p.mu.Lock()
	forked, refusal := p.os != nil, p.refusal
	p.mu.Unlock()
	if refusal != nil {
		return refusal
	}
	if !forked {
		return err
	}
	select {
	case <-p.done:
		exit := p.Exit()
		exit.ByHost = ""
		return fmt.Errorf("ended before it was ready: %s", exit)
	case <-time.After(drainTime):
		return fmt.Errorf("handshake failed: %w", err)
	}
}

// abandon ends a process whose start failed, and waits a bounded time for it.
func (p *Process) abandon() {
	p.Kill("start failed")
	p.mu.Lock()
	forked, dir := p.os != nil, p.dir
	p.mu.Unlock()
	if forked {
		_ = await(p.cleaned, reapTime)
		return
	}
	if dir != "" {
		_ = os.RemoveAll(dir) // go-plugin leaves it behind; else the sweep has it
	}
}

// folder keeps the name of the folder that go-plugin has made.
func (p *Process) folder(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dir = dir
}

// fork starts the process; handshake takes its handshake line.
func (p *Process) fork(env []string, handshake *io.PipeWriter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byHost != "" {
		return errors.New(p.byHost)
	}
	std, err := openStreams()
	if err != nil {
		return fmt.Errorf("open pipes: %w", err)
	}
	defer std.closeChildSide()
	files := []*os.File{std.null, std.outWrite, std.errWrite}
	file, path := p.spec.Image.File(len(files))
	if file != nil {
		files = append(files, file)
	}
	files = append(files, p.launcher.lifeline.read)
	env = append(env, p.spec.Env...)
	env = append(env, port.LifelineEnv+"="+strconv.Itoa(len(files)-1))
	p.os, err = p.launcher.fork(path, []string{p.spec.Name}, &os.ProcAttr{Files: files, Env: env})
	if err != nil {
		p.os = nil
		std.closeHostSide()
		return fmt.Errorf("execute: %w", err)
	}
	go p.watch(std, handshake)
	return nil
}

// watch owns the process from its start to its end.
func (p *Process) watch(std *streams, handshake *io.PipeWriter) {
	var readers sync.WaitGroup
	readers.Go(func() { filterHandshake(std.outRead, handshake, p.spec.Sink) })
	readers.Go(func() { p.spec.Sink.Drain("stderr", std.errRead) })
	state, err := reap(p.os, p.killRest)

	read := make(chan struct{})
	go func() { readers.Wait(); close(read) }()
	_ = await(read, drainTime) // something that left the group may hold the pipes
	std.closeHostSide()
	handshake.Close()
	p.spec.Sink.End()

	p.mu.Lock()
	p.exit = Exit{Status: statusOf(state, err, p.byHost != ""), ByHost: p.byHost, LastWord: p.spec.Sink.LastWord()}
	p.mu.Unlock()
	close(p.done)
	p.clean()
}

// killRest kills what is left of the group, while the group's number can't
// belong to anybody else.
func (p *Process) killRest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-p.os.Pid, syscall.SIGKILL) // usually nobody is left
	p.reaped = true
}

// clean removes what a dead process leaves. go-plugin's Kill only closes the
// connection now.
func (p *Process) clean() {
	defer close(p.cleaned)
	p.mu.Lock()
	dir := p.dir
	p.mu.Unlock()
	rundir.KillMarked(dir)
	p.client.Kill()
	_ = os.RemoveAll(dir) // else the sweep has it
}

// Conn is the connection to the process.
func (p *Process) Conn() *grpc.ClientConn { return p.conn }

// Done is closed when the process has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the process ended. Only valid after Done.
func (p *Process) Exit() Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// PID is the process id, 0 before it is known.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.os == nil {
		return 0
	}
	return p.os.Pid
}

// Kill ends the process and its group at once. It does not wait. The first
// reason is the one that is kept.
func (p *Process) Kill(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal(syscall.SIGKILL, reason)
}

// Attached says that the process is somebody else's.
func (p *Process) Attached() bool { return p.letGo != nil }

// signal needs mu.
func (p *Process) signal(sig syscall.Signal, reason string) {
	if p.reaped {
		return
	}
	if p.Attached() {
		p.release(reason)
		return
	}
	if p.byHost == "" {
		p.byHost = reason
	}
	if p.os != nil {
		_ = syscall.Kill(-p.os.Pid, sig) // it may have just ended
	}
}

// refused keeps why the handshake was not accepted.
func (p *Process) refused(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = err
}

// Stop asks the process to end, and makes it. It returns when nothing is left
// of it, or after a bounded time if the kernel can't end it. Calls that are
// under way are cut off: let them end before.
func (p *Process) Stop(grace time.Duration, reason string) error {
	if p.Attached() {
		p.Kill(reason)
		_ = await(p.cleaned, reapTime)
		return nil
	}
	p.mu.Lock()
	if p.byHost == "" && !p.reaped {
		p.byHost = reason
	}
	p.mu.Unlock()
	p.askToStop(grace)
	if await(p.done, 0) {
		_ = await(p.cleaned, reapTime)
		return nil
	}
	p.mu.Lock()
	p.signal(syscall.SIGTERM, reason)
	p.mu.Unlock()
	if !await(p.done, min(grace, termTime)) {
		p.Kill(reason)
	}
	if !await(p.cleaned, reapTime) {
		return fmt.Errorf("process %d of %s can't be ended", p.PID(), p.spec.Name)
	}
	return nil
}

// askToStop sends go-plugin's Shutdown request and gives the process the rest
// of the time to end.
func (p *Process) askToStop(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_ = shutdown(ctx, p.conn) // its own death may cut the answer off
	}()
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	cancel()
	<-answered
}

// awaitErr waits for the end of what failed anyway; its error says nothing new.
func awaitErr(ch <-chan error, d time.Duration) {
	select {
	case err := <-ch:
		_ = err
	case <-time.After(d):
	}
}

// await waits for ch at most d and says whether it was closed.
func await(ch <-chan struct{}, d time.Duration) bool {
	select {
	case <-ch:
		return true
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ch:
		return true
	case <-t.C:
		return false
	}
}
