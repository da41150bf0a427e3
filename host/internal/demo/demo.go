package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say where the demo finds what it runs.
type Options struct {
	Executable string // the orderport binary
	PluginDir  string // folder with orderport-connector-dropzone
	Dir        string // where everything goes; empty: a new temporary directory
	Out        io.Writer
}

// limit bounds the whole demo. It takes about two seconds.
const limit = 30 * time.Second

// stage is a running demo.
type stage struct {
	Options
	inbox, acks string
	url, token  string
	env         []string
}

// Run plays the demo and leaves its directory for the user to look at.
func Run(ctx context.Context, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s := &stage{Options: opts}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	stop, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := s.connect(ctx); err != nil {
		return err
	}
	exports, err := s.deliver(ctx, sampleOrders())
	if err != nil {
		return err
	}
	s.report(exports)
	return nil
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

// prepare makes the directories, the key, the database and an API token.
func (s *stage) prepare(ctx context.Context) error {
	var err error
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "orderport-demo-"); err != nil {
			return err
		}
	}
	s.inbox, s.acks = filepath.Join(s.Dir, "erp", "inbox"), filepath.Join(s.Dir, "erp", "acks")
	for _, dir := range []string{s.inbox, s.acks} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	s.url = "http://" + address
	s.env = append(withoutSettings(os.Environ()), "ORDERPORT_DATA_DIR="+filepath.Join(s.Dir, "data"),
		"ORDERPORT_PLUGIN_DIR="+filepath.Join(s.Dir, "connectors"), "ORDERPORT_LISTEN="+address)
	if err := s.install(); err != nil {
		return err
	}
	key, err := s.orderport(ctx, "key", "generate")
	if err != nil {
		return err
	}
	s.env = append(s.env, "ENCRYPTION_MASTER_KEY="+strings.TrimSpace(key))
	for _, args := range [][]string{{"migrate", "up"}, {"org", "create", "acme", "--name", "Acme GmbH"}, {"connector", "trust", "--all"}} {
		if _, err := s.orderport(ctx, args...); err != nil {
			return err
		}
	}
	out, err := s.orderport(ctx, "token", "create", "--org", "acme", "--role", "ADMIN", "--json")
	if err != nil {
		return err
	}
	var made struct{ Token string }
	err = json.Unmarshal([]byte(out), &made)
	s.token = made.Token
	return err
}

// install links the dropzone connector into the demo's own plugin directory,
// so that trusting it changes nothing outside.
func (s *stage) install() error {
	const name = "orderport-connector-dropzone"
	raw, err := os.ReadFile(filepath.Join(s.PluginDir, name))
	if err != nil {
		return fmt.Errorf("find the dropzone connector: %w (make build puts it into bin/connectors)", err)
	}
	dir := filepath.Join(s.Dir, "connectors")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), raw, 0o700)
}

// withoutSettings drops what the user's own Orderport is configured with.
func withoutSettings(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "ORDERPORT_") && !strings.HasPrefix(e, "DATABASE_URL=") && !strings.HasPrefix(e, "ENCRYPTION_") {
			kept = append(kept, e)
		}
	}
	return kept
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// orderport runs one command and returns what it printed.
func (s *stage) orderport(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Executable, args...)
	cmd.Env = s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("orderport %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// serve starts the host and returns what stops it.
func (s *stage) serve(ctx context.Context) (stop func(), err error) {
	log, err := os.Create(filepath.Join(s.Dir, "host.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.Executable, "serve")
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, log, log
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	var endedWith error // read after ended is closed
	go func() {
		endedWith = cmd.Wait()
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
		}
	}
	for s.call(ctx, http.MethodGet, "/readyz", nil, nil) != nil {
		select {
		case <-ended:
			return nil, fmt.Errorf("the host ended: %w, see %s", endedWith, log.Name())
		case <-ctx.Done():
			stop()
			return nil, fmt.Errorf("the host is not ready, see %s: %w", log.Name(), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.say("  host        ready after %d ms on %s, with SQLite", time.Since(begun).Milliseconds(), s.url)
	return stop, nil
}

// connect makes the connection and tests it.
func (s *stage) connect(ctx context.Context) error {
	err := s.call(ctx, http.MethodPost, "/api/v1/connections", map[string]any{
		"connector_type": "DROPZONE_JSON_V1", "test_on_save": true,
		"config": map[string]any{"mode": "filesystem", "export_path": s.inbox, "ack_path": s.acks, "ack_poll_seconds": 1},
	}, nil)
	if err != nil {
		return fmt.Errorf("create the connection: %w", err)
	}
	s.say("  connection  DROPZONE_JSON_V1 to %s, tested", s.inbox)
	return nil
}

// export is what the table shows of an export.
type export struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	Number       string `json:"external_order_number"`
	ERPOrderID   string `json:"erp_order_id"`
	DropzonePath string `json:"dropzone_path"`
	Error        *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// deliver hands the orders in and waits until the ERP has answered each.
func (s *stage) deliver(ctx context.Context, orders []json.RawMessage) ([]export, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return (&erp{inbox: s.inbox, acks: s.acks}).run(ctx) })
	var exports []export
	group.Go(func() error {
		defer cancel()
		begun := time.Now()
		for _, order := range orders {
			if err := s.call(ctx, http.MethodPost, "/api/v1/exports", map[string]any{"draft_order": order}, nil); err != nil {
				return fmt.Errorf("hand in an order: %w", err)
			}
		}
		s.say("  orders      %d handed in within %d ms", len(orders), time.Since(begun).Milliseconds())
		var err error
		exports, err = s.awaitAnswers(ctx, len(orders))
		return err
	})
	return exports, group.Wait()
}

func (s *stage) awaitAnswers(ctx context.Context, want int) ([]export, error) {
	for {
		var page struct{ Items []export }
		if err := s.call(ctx, http.MethodGet, "/api/v1/exports?limit=100", nil, &page); err != nil {
			return nil, err
		}
		answered := 0
		for _, e := range page.Items {
			if e.Status == "ACKED" || e.Status == "FAILED" {
				answered++
			}
		}
		if answered == want {
			return page.Items, nil
		}
		select {
		case <-ctx.Done():
			return page.Items, fmt.Errorf("%d of %d orders are answered: %w", answered, want, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// call makes one API call.
func (s *stage) call(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, reader)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return errors.New(resp.Status + ": " + string(raw))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// report prints the table and what to do next.
func (s *stage) report(exports []export) {
	acked := 0
	s.say("")
	table := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  ORDER\tSTATUS\tERP NUMBER OR REASON\tFILE")
	for i := len(exports) - 1; i >= 0; i-- { // the API lists the newest first
		e := exports[i]
		answer := e.ERPOrderID
		if e.Error != nil {
			answer = e.Error.Message
		} else {
			acked++
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", e.Number, e.Status, answer, filepath.Base(e.DropzonePath))
	}
	_ = table.Flush()
	s.say("")
	s.say("%d orders reached the ERP once: %d acknowledged, %d refused.", len(exports), acked, len(exports)-acked)
	s.say(`
Look at   %s
  the files that the ERP got      erp/inbox/
  its answers, settled            erp/acks/processed/
  the host's log                  host.log

Next      make test               runs every test
          README.md, "First session": set up a host of your own, step by step`, s.Dir)
}
