package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/orderport/orderport/host/internal/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"orderport": orderport})
}

// orderport is the command as main runs it.
func orderport() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Main(ctx, Environment{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		LookupEnv: os.LookupEnv, Version: "1.2.3", User: "tester",
	})
	stop()
	os.Exit(code)
}

// TestScripts runs testdata/script: the command as users type it, on SQLite.
func TestScripts(t *testing.T) { runScripts(t, func(*testing.T, *testscript.Env) {}) }

// TestScriptsOnPostgres runs them on PostgreSQL.
func TestScriptsOnPostgres(t *testing.T) {
	storetest.PostgresServer(t) // skips without one
	runScripts(t, func(t *testing.T, env *testscript.Env) {
		env.Setenv("DATABASE_URL", storetest.EmptyPostgresURL(t))
	})
}

func runScripts(t *testing.T, setup func(*testing.T, *testscript.Env)) {
	t.Helper()
	connector := buildDropzone(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("ENCRYPTION_MASTER_KEY", strings.Repeat("a1", 32))
			env.Setenv("ORDERPORT_DATA_DIR", filepath.Join(env.WorkDir, "data"))
			env.Setenv("ORDERPORT_PLUGIN_DIR", filepath.Join(env.WorkDir, "connectors"))
			env.Setenv("ORDERPORT_LISTEN", freeAddress(t))
			setup(t, env)
			return installConnector(connector, env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "field": field, "api": api, "exitcode": exitcode, "eventually": eventually, "fill": fill,
		},
		Condition: func(condition string) (bool, error) {
			return condition == "sqlite" && !strings.Contains(t.Name(), "Postgres"), nil
		},
	})
}

// buildDropzone builds the dropzone connector.
func buildDropzone(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "orderport-connector-dropzone")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	cmd.Dir = filepath.Join("..", "..", "..", "plugins", "dropzone")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the dropzone connector: %v\n%s", err, out)
	}
	return binary
}

// installConnector puts the connector and the directories of a small ERP into
// a script's directory.
func installConnector(binary, dir string) error {
	for _, name := range []string{"connectors", "inbox", "acks"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	raw, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`{"mode":"filesystem","export_path":%q,"ack_path":%q}`, filepath.Join(dir, "inbox"), filepath.Join(dir, "acks"))
	if err := os.WriteFile(filepath.Join(dir, "dropzone.json"), []byte(config), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "connectors", filepath.Base(binary)), raw, 0o755)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// await waits until the host is ready, or says that it is not, and why: await
// [REASON].
func await(ts *testscript.TestScript, _ bool, args []string) {
	wanted, reason := http.StatusOK, ""
	if len(args) > 0 {
		wanted, reason = http.StatusServiceUnavailable, args[0]
	}
	over := time.After(20 * time.Second)
	for {
		status, body := ready(ts)
		if status == wanted && strings.Contains(body, reason) {
			return
		}
		select {
		case <-over:
			ts.Fatalf("/readyz: %d %s, want %d %s", status, body, wanted, reason)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ready returns what /readyz answers; nothing does not.
func ready(ts *testscript.TestScript) (status int, body string) {
	res, err := http.Get("http://" + ts.Getenv("ORDERPORT_LISTEN") + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	raw, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(raw)
}

// exitcode runs a command and wants its exit code: exitcode CODE COMMAND….
func exitcode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// field takes a text out of the JSON on the last standard output and sets a
// variable: field NAME path.to.0.field.
func field(ts *testscript.TestScript, _ bool, args []string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for _, step := range strings.Split(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			var i int
			_, err := fmt.Sscan(step, &i)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("there is no %s", args[1])
			}
			value = v[i]
		}
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// api calls the running host and wants a status: api TOKEN METHOD PATH STATUS.
func api(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(args[1], "http://"+ts.Getenv("ORDERPORT_LISTEN")+args[2], nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[0])
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	_ = res.Body.Close()
	if fmt.Sprint(res.StatusCode) != args[3] {
		ts.Fatalf("%s %s: status %d, want %s", args[1], args[2], res.StatusCode, args[3])
	}
}
