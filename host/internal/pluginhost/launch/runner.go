package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/runner"
)

// processRunner is what go-plugin sees of a Process.
type processRunner struct {
	p         *Process
	env       []string // what go-plugin wants the process to have
	handshake *io.PipeReader
}

var _ runner.Runner = (*processRunner)(nil)

// Start forks the process.
func (r *processRunner) Start(context.Context) error {
	out, in := io.Pipe()
	r.handshake = out
	return r.p.fork(r.env, in)
}

// Stdout has the handshake line and nothing else.
func (r *processRunner) Stdout() io.ReadCloser { return r.handshake }

// Stderr is empty: go-plugin's parser of log lines panics on some.
func (r *processRunner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Wait returns when the process has ended and its output is read.
func (r *processRunner) Wait(context.Context) error {
	<-r.p.done
	return nil
}

// Kill ends the group at once and does not wait.
func (r *processRunner) Kill(context.Context) error {
	r.p.Kill("start failed")
	return nil
}

// Name is for go-plugin's messages.
func (r *processRunner) Name() string { return r.p.spec.Name }

// ID is the process id.
func (r *processRunner) ID() string { return strconv.Itoa(r.p.PID()) }

// Diagnose adds nothing: Process explains failures itself.
func (r *processRunner) Diagnose(context.Context) string { return "" }

// HostToPlugin is for brokered streams, which are not used.
func (r *processRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// PluginToHost accepts nothing but a socket in the process's own folder: the
// host sends configs in the clear to whoever listens there.
func (r *processRunner) PluginToHost(network, address string) (string, string, error) {
	if err := checkAddress(r.p.dir, network, address); err != nil {
		r.p.refused(err)
		return "", "", err
	}
	return network, address, nil
}

// ErrAddress says that a connector wants to be called where it must not be.
var ErrAddress = errors.New("the handshake names an address that is not allowed")

func checkAddress(dir, network, address string) error {
	if network != "unix" {
		return fmt.Errorf("%w: network %q, allowed is only a unix socket", ErrAddress, network)
	}
	if filepath.Dir(address) != filepath.Clean(dir) || filepath.Clean(address) != address {
		return fmt.Errorf("%w: %q is not directly in the folder that $PLUGIN_UNIX_SOCKET_DIR names", ErrAddress, address)
	}
	info, err := os.Lstat(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%w: %q is no socket", ErrAddress, address)
	}
	return nil
}
