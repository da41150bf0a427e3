package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Bin names the folder with the built binaries: bin/orderport and
// bin/connectors/. Make builds it.
type Bin string

// FindBin walks up from the working directory to the built binaries.
func FindBin() (Bin, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "bin", "orderport")); err == nil {
			return Bin(filepath.Join(dir, "bin")), nil
		}
	}
	return "", errors.New("bin/orderport not found: run `make build` first")
}

// Installation is one configured Orderport: a database, a master key and an
// organization. Hosts and commands run in it.
type Installation struct {
	Bin         Bin
	Dir         string // logs and data directories
	DatabaseURL string // empty: SQLite in the data directory
	MasterKey   string
	PluginDir   string
	PayloadDir  string // shared by all hosts
	Org, Token  string
	Extra       []string // more environment, "NAME=value"
}

// Install migrates the database and makes an organization "acme" and an
// admin's token.
func Install(ctx context.Context, in Installation) (*Installation, error) {
	if err := os.MkdirAll(in.Dir, 0o755); err != nil {
		return nil, err
	}
	if in.PluginDir == "" {
		in.PluginDir = filepath.Join(in.Dir, "connectors")
		if err := CopyConnectors(filepath.Join(string(in.Bin), "connectors"), in.PluginDir); err != nil {
			return nil, err
		}
	}
	in.PayloadDir = filepath.Join(in.Dir, "payloads")
	in.Org = "acme"
	key, err := in.CLI(ctx, "key", "generate")
	if err != nil {
		return nil, err
	}
	in.MasterKey = strings.TrimSpace(string(key))
	for _, args := range [][]string{
		{"migrate", "up"}, {"org", "create", in.Org, "--name", "Acme GmbH"}, {"connector", "trust", "--all"},
	} {
		if _, err := in.CLI(ctx, args...); err != nil {
			return nil, err
		}
	}
	out, err := in.CLI(ctx, "token", "create", "--org", in.Org, "--role", "ADMIN", "--json")
	if err != nil {
		return nil, err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, fmt.Errorf("token create: %w in %q", err, out)
	}
	in.Token = made.Token
	return &in, nil
}

// CopyConnectors copies the connector binaries of one folder into another.
func CopyConnectors(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(from, "orderport-connector-*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), raw, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (in *Installation) env(dataDir string) []string {
	env := append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + in.Dir, "LD_LIBRARY_PATH=" + os.Getenv("LD_LIBRARY_PATH"),
		"ENCRYPTION_MASTER_KEY=" + in.MasterKey,
		"ORDERPORT_DATA_DIR=" + dataDir, "ORDERPORT_PLUGIN_DIR=" + in.PluginDir,
		"ORDERPORT_PAYLOAD_URL=" + in.PayloadDir,
	}, in.Extra...)
	if in.DatabaseURL != "" {
		env = append(env, "DATABASE_URL="+in.DatabaseURL)
	}
	return env
}

// DataDir is the data directory that commands and the first host use.
func (in *Installation) DataDir() string { return filepath.Join(in.Dir, "data") }

// CLI runs one command and returns what it printed. A failure carries what it
// said on standard error.
func (in *Installation) CLI(ctx context.Context, args ...string) ([]byte, error) {
	return in.CLIWith(ctx, nil, args...)
}

// CLIWith is CLI with more environment, "NAME=value", which wins.
func (in *Installation) CLIWith(ctx context.Context, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(string(in.Bin), "orderport"), args...)
	cmd.Env = append(in.env(in.DataDir()), env...)
	cmd.Dir = in.Dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("orderport %s: %w\n%s%s", strings.Join(args, " "), err, errs.Bytes(), out.Bytes())
	}
	return out.Bytes(), nil
}

// Host is one `orderport serve`.
type Host struct {
	*Process
	in   *Installation
	URL  string
	name string
	env  []string
}

// Serve starts a host with a data directory of its own, named after it, and
// waits until it is ready. The first host is called "data". env is more
// environment, "NAME=value", which wins.
func (in *Installation) Serve(ctx context.Context, name string, env ...string) (*Host, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	h := &Host{in: in, name: name, env: env, URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
	return h, h.Start(ctx)
}

// Start starts the host again, on the same address and data directory, and
// waits until it is ready.
func (h *Host) Start(ctx context.Context) error {
	if err := h.Launch(); err != nil {
		return err
	}
	return h.WaitReady(ctx, 60*time.Second)
}

// Launch is Start without the waiting.
func (h *Host) Launch() error {
	cmd := exec.Command(filepath.Join(string(h.in.Bin), "orderport"), "serve")
	cmd.Env = append(h.in.env(filepath.Join(h.in.Dir, h.name)),
		"ORDERPORT_LISTEN="+strings.TrimPrefix(h.URL, "http://"), "ORDERPORT_HOST_NAME="+h.name)
	cmd.Env = append(cmd.Env, h.env...)
	cmd.Dir = h.in.Dir
	proc, err := StartProcess(h.name, cmd, h.LogPath())
	if err != nil {
		return err
	}
	h.Process = proc
	return nil
}

// WaitReady waits until /readyz says so or the process ends.
func (h *Host) WaitReady(ctx context.Context, limit time.Duration) error {
	proc := h.Process
	return Eventually(ctx, limit, func() error {
		if !proc.Running() {
			return fmt.Errorf("host %s ended: %w, see its log", h.name, proc.err)
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
}

// LogPath is the file with everything that the host printed.
func (h *Host) LogPath() string { return filepath.Join(h.in.Dir, h.name+".log") }

// SignalConnectors sends sig to each of the host's connectors and returns how
// many there were.
func (h *Host) SignalConnectors(sig syscall.Signal) int {
	pids := h.Connectors()
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig) // one that has ended meanwhile needs none
	}
	return len(pids)
}

// Connectors lists the process ids of the host's connectors.
func (h *Host) Connectors() []int { return ChildrenNamed(h.PID(), "orderport-connector-") }

// Shutdown ends the host as an operator does.
func (h *Host) Shutdown() error {
	if h == nil || h.Process == nil || !h.Running() {
		return nil
	}
	return h.Stop(syscall.SIGTERM, 60*time.Second)
}
