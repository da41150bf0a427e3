package sdk_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
	"github.com/orderport/orderport/sdk/tunnel"
)

// roleEnv makes the test binary play another part than running tests.
const roleEnv = "SDK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "connector":
		sdk.Serve(noisy{})
	case "middleman":
		middleman()
	case "undescribable":
		sdk.Serve(scripted{describe: func(d *sdk.Description) { d.Version = "one" }})
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// noisy is a connector that prints, logs and hangs; the order's notes say what.
type noisy struct{ scripted }

func (noisy) TestConnection(context.Context, sdk.TestRequest) (sdk.TestResult, error) {
	for i := range 2000 { // more than a pipe holds
		fmt.Println("to stdout", i, strings.Repeat("x", 100))
		fmt.Fprintln(os.Stderr, "to stderr", i)
	}
	return sdk.TestResult{}, nil
}

func (noisy) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	cfg, err := sdk.DecodeConfig[ftpConfig](req.Connection)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	slog.InfoContext(ctx, "exporting", "config", cfg, "request", fmt.Sprintf("%+v", req.Connection))
	if notes := req.Order.Notes; notes != nil {
		d, err := time.ParseDuration(*notes)
		if err != nil {
			return sdk.ExportResult{}, err
		}
		req.Progress("waiting")
		time.Sleep(d) //nolint:forbidigo // deaf on purpose
	}
	data, err := json.Marshal(req.Order)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	_, err = req.StorePayload(ctx, "o.json", data)
	return sdk.ExportResult{}, err
}

// middleman starts a connector the way a host does, says where, and waits to
// be killed. It stands for a host that dies.
func middleman() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=connector")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d|%s", cmd.Process.Pid, line)
	select {}
}

// started is a connector process and go-plugin's client of it.
type started struct {
	client *plugin.Client
	conn   *grpc.ClientConn
	port   connectorv1.ConnectorServiceClient
	cmd    *exec.Cmd
	dir    string // of its socket
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// clientPlugin gives the host's side of the service.
type clientPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (clientPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errors.ErrUnsupported }

func (clientPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// startConnector starts a binary through go-plugin, with mutual TLS and an
// empty environment.
func startConnector(t *testing.T, binary string, env ...string) *started {
	t.Helper()
	dir, err := os.MkdirTemp("", "sdk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &started{cmd: exec.Command(binary), dir: dir, log: &lockedBuffer{}}
	s.cmd.Env = append(env, plugin.EnvUnixSocketDir+"="+dir)
	s.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: port.ProtocolVersion, MagicCookieKey: port.CookieKey, MagicCookieValue: port.CookieValue,
		},
		Plugins:          plugin.PluginSet{port.PluginName: clientPlugin{}},
		Cmd:              s.cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
		Stderr:           s.log,
		GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(port.MaxMessage), grpc.MaxCallSendMsgSize(port.MaxMessage))},
	})
	t.Cleanup(s.client.Kill)
	protocol, err := s.client.Client()
	if err != nil {
		t.Fatalf("start: %v\n%s", err, s.log)
	}
	raw, err := protocol.Dispense(port.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	s.conn = raw.(*grpc.ClientConn)
	s.port = connectorv1.NewConnectorServiceClient(s.conn)
	return s
}

func startSelf(t *testing.T, env ...string) *started {
	t.Helper()
	return startConnector(t, os.Args[0], append(env, roleEnv+"=connector")...)
}

func (s *started) wantNoSocket(t *testing.T) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// export drives one Export over any client and returns the result.
func export(ctx context.Context, client connectorv1.ConnectorServiceClient, start *connectorv1.ExportStart,
	onMessage func(*connectorv1.ExportResponse) *connectorv1.ExportRequest,
) (*connectorv1.ExportResult, error) {
	stream, err := client.Export(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: start}}); err != nil {
		return nil, err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if message.GetResult() != nil {
			return message.GetResult(), nil
		}
		if answer := onMessage(message); answer != nil {
			if err := stream.Send(answer); err != nil {
				return nil, err
			}
		}
	}
}

// storing returns an onMessage that answers payloads and keeps count.
func storing(size *int) func(*connectorv1.ExportResponse) *connectorv1.ExportRequest {
	var data []byte
	return func(m *connectorv1.ExportResponse) *connectorv1.ExportRequest {
		data = append(data, m.GetStorePayload().GetData()...)
		if !m.GetStorePayload().GetLast() {
			return nil
		}
		*size = len(data)
		return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_PayloadStored{PayloadStored: stored(data)}}
	}
}

func TestTheProcessServesAllCallsOverGoPlugin(t *testing.T) {
	t.Parallel()
	s := startSelf(t)
	description, err := s.port.Describe(t.Context(), &connectorv1.DescribeRequest{})
	if err != nil || description.GetConnectorType() != "SCRIPTED" {
		t.Fatalf("got %v, %v", description, err)
	}
	connection := start("x").GetConnection()
	test, err := s.port.TestConnection(t.Context(), &connectorv1.TestConnectionRequest{Connection: connection})
	if err != nil || !test.GetSuccess() {
		t.Fatalf("a connector that prints a lot: %v, %v", test, err)
	}
	for _, order := range []*connectorv1.DraftOrder{sdktest.OrderWithLines(1, 5<<20), sdktest.OrderWithLines(10_000, 200)} {
		first := start("x")
		first.DraftOrder = order
		size := 0
		result, err := export(t.Context(), s.port, first, storing(&size))
		if err != nil || !result.GetSuccess() || size < 2<<20 {
			t.Errorf("got %v, %v with a payload of %d bytes", result, err, size)
		}
	}
	stream, err := s.port.FetchAcks(t.Context(), &connectorv1.FetchAcksRequest{Connection: connection})
	if err == nil {
		_, err = stream.Recv()
	}
	wantStatus(t, err, 12)
	s.client.Kill()
	if state := s.cmd.ProcessState; state != nil && state.ExitCode() != 0 {
		t.Errorf("ended with %v", state)
	}
	s.wantNoSocket(t)
	checkLog(t, s.log.String())
}

// checkLog wants every line to be a JSON object with the three strings, no
// secret, the printed lines, and the export's id where it belongs.
func checkLog(t *testing.T, text string) {
	t.Helper()
	printed, exporting := 0, 0
	for line := range strings.Lines(text) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("not JSON: %q", line)
		}
		for _, key := range []string{"@level", "@message", "@timestamp"} {
			if _, ok := fields[key].(string); !ok {
				t.Errorf("%s is no string in %s", key, line)
			}
		}
		if fields["printed_to"] != nil {
			printed++
		}
		if fields["@message"] == "exporting" {
			exporting++
			if fields["export_id"] != "x" || fields["attempt"] == nil || fields["connection_id"] != "c" {
				t.Errorf("got %s", line)
			}
		}
	}
	if printed < 4000 || exporting != 2 {
		t.Errorf("%d printed lines, want 4000; %d of exports, want 2", printed, exporting)
	}
	if strings.Contains(text, canary) {
		t.Error("a secret is in the log")
	}
}

func TestSIGTERMLetsRunningCallsFinish(t *testing.T) {
	t.Parallel()
	t.Run("a stream of its own", func(t *testing.T) {
		t.Parallel()
		s := startSelf(t)
		sigtermLetsFinish(t, s, s.port)
	})
	t.Run("tunnel", func(t *testing.T) {
		t.Parallel()
		s := startSelf(t)
		through, err := tunnel.Dial(t.Context(), s.conn)
		if err != nil {
			t.Fatal(err)
		}
		sigtermLetsFinish(t, s, connectorv1.NewConnectorServiceClient(through))
	})
}

func sigtermLetsFinish(t *testing.T, s *started, client connectorv1.ConnectorServiceClient) {
	t.Helper()
	first := start("x")
	first.DraftOrder.Notes = new(string)
	*first.DraftOrder.Notes = "700ms"
	size := 0
	answer := storing(&size)
	result, err := export(t.Context(), client, first, func(m *connectorv1.ExportResponse) *connectorv1.ExportRequest {
		if m.GetProgress() != nil { // it is running
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		}
		return answer(m)
	})
	if err != nil || !result.GetSuccess() {
		t.Errorf("got %v, %v", result, err)
	}
	waitExited(t, s, 2*time.Second)
	s.wantNoSocket(t)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("ended with status %d", code)
	}
}

// TestSIGTERMWithTheHandshakeIsHeard is repeated, since a handler that comes late
// is still there in time on most starts.
func TestSIGTERMWithTheHandshakeIsHeard(t *testing.T) {
	t.Parallel()
	for range 20 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = []string{roleEnv + "=connector", port.CookieKey + "=" + port.CookieValue, plugin.EnvUnixSocketDir + "=" + t.TempDir()}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Error(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("SIGTERM right after the handshake: %v, want status 0", err)
		}
	}
}

func waitExited(t *testing.T, s *started, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !s.client.Exited() {
		if time.Now().After(deadline) {
			t.Fatalf("still runs after %v\n%s", within, s.log)
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // go-plugin has no channel for this
	}
	s.client.Kill() // waits until ProcessState is there
}

func TestSIGINTIsIgnored(t *testing.T) {
	t.Parallel()
	s := startSelf(t)
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := s.port.Describe(t.Context(), &connectorv1.DescribeRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheProcessEndsWhenTheLifelineDoes(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sdk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{
		roleEnv + "=connector", port.CookieKey + "=" + port.CookieValue, port.LifelineEnv + "=3",
		plugin.EnvUnixSocketDir + "=" + dir,
	}
	cmd.ExtraFiles = []*os.File{r}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cut := time.Now()
	_ = w.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if took := time.Since(cut); took > time.Second {
		t.Errorf("took %v", took)
	}
	(&started{dir: dir}).wantNoSocket(t)
}

func TestTheProcessEndsWhenItsParentIsKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process keeps its dead parent's id on Windows; the lifeline is what works there")
	}
	dir, err := os.MkdirTemp("", "sdk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	host := exec.Command(os.Args[0])
	host.Env = []string{roleEnv + "=middleman", port.CookieKey + "=" + port.CookieValue, plugin.EnvUnixSocketDir + "=" + dir}
	stdout, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// The connector holds the other end, so its end is the pipe's end.
	stderr, stderrW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	host.Stderr = stderrW
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stderrW.Close()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(line, "|grpc|") {
		t.Fatalf("got %q, %v", line, err)
	}
	killed := time.Now()
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	if _, err := io.Copy(io.Discard, stderr); err != nil {
		t.Error(err)
	}
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	(&started{dir: dir}).wantNoSocket(t)
}

func TestStartedWronglyItSaysWhy(t *testing.T) {
	t.Parallel()
	cookie := port.CookieKey + "=" + port.CookieValue
	for what, env := range map[string][]string{
		"without a host":                       {roleEnv + "=connector"},
		"with a description against the rules": {roleEnv + "=undescribable", cookie},
		"by a host of another protocol":        {roleEnv + "=connector", cookie, "PLUGIN_PROTOCOL_VERSIONS=2,3"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = env
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: ended with %v, want status 1", what, err)
		}
		if stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("%s: stdout %q, stderr %q", what, &stdout, &stderr)
		}
	}
}

func TestTheExampleBinaryRunsAsAShippedOne(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), port.BinaryPrefix+"webhook")
	build := exec.Command("go", "build", "-o", binary, "./examples/webhook")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s := startConnector(t, binary)
	description, err := s.port.Describe(t.Context(), &connectorv1.DescribeRequest{})
	if err != nil || description.GetConnectorType() != "EXAMPLE_WEBHOOK" {
		t.Fatalf("got %v, %v", description, err)
	}
	first := start("x")
	first.Connection.Config = []byte(`{"url":"http://127.0.0.1:1/","token":"` + canary + `"}`)
	test, err := s.port.TestConnection(t.Context(), &connectorv1.TestConnectionRequest{Connection: first.GetConnection()})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, test.GetError(), port.Unreachable)
	first.DraftOrder = sdktest.OrderWithLines(1, 5<<20)
	size := 0
	result, err := export(t.Context(), s.port, first, storing(&size))
	if err != nil || size < 5<<20 {
		t.Errorf("got %v, %v with a payload of %d bytes", result, err, size)
	}
	wantCode(t, result.GetError(), port.Unreachable)
	s.client.Kill()
	s.wantNoSocket(t)
	if strings.Contains(s.log.String(), canary) {
		t.Error("a secret is in the log")
	}
}
