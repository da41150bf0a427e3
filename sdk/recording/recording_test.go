package recording_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/recording"
	"github.com/orderport/orderport/sdk/sdktest"
)

const schemaJSON = `{"type":"object","additionalProperties":false,"properties":{
	"host":{"type":"string"},"token":{"type":"string","writeOnly":true},"key":{"type":"string","writeOnly":true}}}`

// canary has what each encoding changes.
const canary = `c4n"ary&/ü secret`

// forms are how the canary may turn up.
func forms(t *testing.T) map[string]string {
	t.Helper()
	quoted, err := json.Marshal(canary)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"plain": canary, "JSON": string(quoted[1 : len(quoted)-1]), "URL": url.QueryEscape(canary),
		"hex": hex.EncodeToString([]byte(canary)), "base64": base64.StdEncoding.EncodeToString([]byte(canary)),
		"basic auth": base64.StdEncoding.EncodeToString([]byte("u:" + canary)),
	}
}

func leaks(t *testing.T) string {
	t.Helper()
	var all []string
	for _, form := range forms(t) {
		all = append(all, form)
	}
	return strings.Join(all, " | ")
}

// leaky puts secrets wherever a connector can put text or bytes. It is no SDK
// connector: the SDK would take some of them out.
type leaky struct {
	connectorv1.UnimplementedConnectorServiceServer
	text string
}

func (l leaky) TestConnection(context.Context, *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	return &connectorv1.TestConnectionResponse{
		ErrorMessage: l.text, Steps: []*connectorv1.TestStep{{Name: "connect", Message: l.text}}, Error: l.failure(),
	}, nil
}

func (l leaky) failure() *connectorv1.Error {
	return &connectorv1.Error{
		Code: connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, Message: l.text, Details: map[string]string{l.text: l.text},
		Violations: []*connectorv1.FieldViolation{{Path: l.text, Message: l.text}},
	}
}

func (l leaky) Export(stream grpc.BidiStreamingServer[connectorv1.ExportRequest, connectorv1.ExportResponse]) error {
	start, err := stream.Recv()
	if err != nil {
		return err
	}
	half := len(l.text) / 2
	for _, m := range []*connectorv1.ExportResponse{
		{Message: &connectorv1.ExportResponse_Progress{Progress: &connectorv1.Progress{Message: l.text}}},
		{Message: &connectorv1.ExportResponse_StorePayload{StorePayload: &connectorv1.StorePayload{FileName: "a.json", Data: []byte(l.text[:half])}}},
		{Message: &connectorv1.ExportResponse_StorePayload{StorePayload: &connectorv1.StorePayload{Data: []byte(l.text[half:]), Last: true}}},
		{Message: &connectorv1.ExportResponse_SaveCheckpoint{SaveCheckpoint: &connectorv1.SaveCheckpoint{Data: []byte(l.text), ExternalRef: "ref"}}},
	} {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	for range 2 {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
	return stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{Result: &connectorv1.ExportResult{
		ExportId: start.GetStart().GetExportId(), Error: l.failure(), Metadata: map[string]string{"k": l.text},
	}}})
}

func (l leaky) FetchAcks(_ *connectorv1.FetchAcksRequest, stream grpc.ServerStreamingServer[connectorv1.FetchAcksResponse]) error {
	_ = stream.Send(&connectorv1.FetchAcksResponse{Handle: l.text, ExternalRef: l.text})
	return status.Error(codes.Aborted, l.text)
}

func (l leaky) SettleAcks(_ context.Context, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	return nil, status.Error(codes.Internal, l.text)
}

// recorder keeps recordings in a folder.
type recorder struct {
	t   *testing.T
	dir string

	mu    sync.Mutex
	calls int
	idle  bool
}

func (r *recorder) Active() bool { return !r.idle }

func (r *recorder) Begin(call string, connection *connectorv1.Connection) *recording.Writer {
	schema, err := configschema.Compile([]byte(schemaJSON))
	if err != nil {
		r.t.Fatal(err)
	}
	secrets, err := recording.NewSecrets(schema, connection.GetConfig(), nil)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	r.mu.Lock()
	r.calls++
	name := fmt.Sprintf("%d_%s.jsonl", r.calls, call)
	r.mu.Unlock()
	file, err := os.Create(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Error(err)
		return nil
	}
	return recording.NewWriter(file, recording.Header{Call: call, ConnectorType: "LEAKY", ConnectorVersion: "1.0.0"}, secrets)
}

// dial serves a connector and returns a recorded client for it.
func dial(t *testing.T, service connectorv1.ConnectorServiceServer, r *recorder) connectorv1.ConnectorServiceClient {
	t.Helper()
	server := grpc.NewServer()
	connectorv1.RegisterConnectorServiceServer(server, service)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///connector", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); server.Stop() })
	return connectorv1.NewConnectorServiceClient(recording.Wrap(conn, r))
}

func connection(t *testing.T) *connectorv1.Connection {
	t.Helper()
	config, err := json.Marshal(map[string]string{"host": "erp.example", "token": canary, "key": "-----BEGIN KEY-----\nline-one-of-the-key\n-----END KEY-----"})
	if err != nil {
		t.Fatal(err)
	}
	return &connectorv1.Connection{Id: "c1", OrgSlug: "acme", Config: config}
}

// callEverything makes each call once.
func callEverything(t *testing.T, client connectorv1.ConnectorServiceClient) {
	t.Helper()
	ctx := t.Context()
	_, _ = client.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: connection(t)})
	_, _ = client.SettleAcks(ctx, &connectorv1.SettleAcksRequest{Connection: connection(t)})
	acks, err := client.FetchAcks(ctx, &connectorv1.FetchAcksRequest{Connection: connection(t)})
	for err == nil {
		_, err = acks.Recv()
	}
	stream, err := client.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	order := sdktest.SampleOrder()
	order.Notes = new(string)
	*order.Notes = "key: line-one-of-the-key"
	_ = stream.Send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{
		Start: &connectorv1.ExportStart{ExportId: "e1", Attempt: 1, Connection: connection(t), DraftOrder: order},
	}})
	for err == nil {
		var m *connectorv1.ExportResponse
		m, err = stream.Recv()
		if m.GetStorePayload().GetLast() || m.GetSaveCheckpoint() != nil {
			_ = stream.Send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{CheckpointSaved: &connectorv1.CheckpointSaved{}}})
		}
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(data)
	}
	return all
}

// shows lists the forms of the canary in a recording, also inside its bytes.
func shows(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	places := []string{text}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == '"' }) {
		if raw, err := base64.StdEncoding.DecodeString(word); err == nil && len(raw) > 8 {
			places = append(places, string(raw))
		}
	}
	for name, form := range forms(t) {
		for _, place := range places {
			if strings.Contains(place, form) {
				found = append(found, name)
			}
		}
	}
	return found
}

func TestSecretsNeverReachARecording(t *testing.T) {
	t.Parallel()
	r := &recorder{t: t, dir: t.TempDir()}
	callEverything(t, dial(t, leaky{text: leaks(t)}, r))
	all := files(t, r.dir)
	if len(all) != 4 {
		t.Fatalf("%d recordings", len(all))
	}
	for name, text := range all {
		if found := shows(t, text); len(found) > 0 || strings.Contains(text, "line-one-of-the-key") {
			t.Errorf("%s shows the secret in %q:\n%s", name, found, text)
		}
		if !strings.Contains(text, recording.Mark) {
			t.Errorf("%s does not show that there was one:\n%s", name, text)
		}
		read, err := recording.Read(strings.NewReader(text))
		if err != nil || read.End == nil || len(read.Entries) == 0 {
			t.Errorf("%s can't be read: %+v, %v", name, read, err)
		}
	}
	// The search itself finds them where nobody hides them.
	if found := shows(t, leaks(t)); len(found) != len(forms(t)) {
		t.Errorf("of all forms only %q are found", found)
	}
}

func TestAPayloadIsOneMessage(t *testing.T) {
	t.Parallel()
	r := &recorder{t: t, dir: t.TempDir()}
	callEverything(t, dial(t, leaky{text: "harmless text"}, r))
	read, err := recording.Read(strings.NewReader(files(t, r.dir)["4_Export.jsonl"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range read.Entries {
		if m, ok := entry.Message.(*connectorv1.ExportResponse); ok && m.GetStorePayload() != nil {
			if p := m.GetStorePayload(); string(p.GetData()) != "harmless text" || p.GetFileName() != "a.json" || !p.GetLast() {
				t.Errorf("payload %v", p)
			}
			return
		}
	}
	t.Error("there is no payload")
}

func TestNothingIsRecordedUnlessAsked(t *testing.T) {
	t.Parallel()
	r := &recorder{t: t, dir: t.TempDir(), idle: true}
	callEverything(t, dial(t, leaky{text: "x"}, r))
	if all := files(t, r.dir); len(all) != 0 {
		t.Errorf("recorded %v", all)
	}
}

func TestASecretThatIsTooShortToFindIsNotRecorded(t *testing.T) {
	t.Parallel()
	schema, err := configschema.Compile([]byte(schemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	for config, want := range map[string]error{
		`{"token":"abc"}`: recording.ErrShortSecret, `{"token":"abcd"}`: nil, `{"token":" ab "}`: recording.ErrShortSecret, `{}`: nil,
	} {
		if _, err := recording.NewSecrets(schema, []byte(config), nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", config, err, want)
		}
	}
}

type buffer struct{ bytes.Buffer }

func (*buffer) Close() error { return nil }

func TestARecordingHasABound(t *testing.T) {
	t.Parallel()
	schema, err := configschema.Compile([]byte(schemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := recording.NewSecrets(schema, []byte(`{}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out buffer
	w := recording.NewWriter(&out, recording.Header{Call: recording.Export}, secrets)
	progress := &connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Progress{
		Progress: &connectorv1.Progress{Message: strings.Repeat("x", 1<<20)},
	}}
	for range 20 {
		w.Message(recording.ToHost, progress)
	}
	if err := w.End(nil); err != nil {
		t.Fatal(err)
	}
	read, err := recording.Read(&out)
	if err != nil || read.End == nil {
		t.Fatalf("%v", err)
	}
	if n := len(read.Entries); n >= 20 || read.Entries[n-1].Omitted == "" {
		t.Errorf("%d entries, the last one %+v", n, read.Entries[n-1].Omitted)
	}
}

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "empty",
		"hello\n":                          "first line",
		`{"a":1}`:                          "first line",
		`{"recording":2,"call":"Export"}`:  "form 2",
		"{\"recording\":1}\n{\"to\":\"x\"": "line 2",
		"{\"recording\":1,\"call\":\"X\"}\n{\"to\":\"host\",\"message\":{}}": "nobody sends",
	} {
		if _, err := recording.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"recording\":1,\"call\":\"Export\"}\n{\"to\":\"host\",\"message\":{\"progress\":{\"message\":\"x\"}}}\n{\"end\":{\"status\":\"OK\"}}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = recording.Read(bytes.NewReader(data)) // it must not panic
	})
}
