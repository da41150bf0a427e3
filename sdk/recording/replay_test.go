package recording_test

import (
	"context"
	"os"
	"strings"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/recording"
	"github.com/orderport/orderport/sdk/sdktest"
)

// folder pretends to deliver; how is up to the test.
type folder struct {
	name      string // of the payload; empty: order.json
	needToken bool
	failure   error
}

func (folder) Describe() sdk.Description {
	return sdk.Description{
		Type: "FOLDER", Name: "Folder", Version: "1.0.0", Vendor: "Orderport", Summary: "Pretends.",
		ConfigSchema: []byte(schemaJSON), FormatVersions: []string{sdk.FormatOrderflowJSONV1}, Resume: true,
	}
}

func (f folder) TestConnection(ctx context.Context, _ sdk.TestRequest) (sdk.TestResult, error) {
	steps := sdk.NewSteps(ctx)
	steps.Run("connect", func(context.Context) (string, error) { return "connected", f.failure })
	return steps.Result()
}

func (f folder) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	cfg, err := sdk.DecodeConfig[struct {
		Host       string
		Token, Key sdk.Secret
	}](req.Connection)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	if f.needToken && cfg.Token.Reveal() != "right" {
		return sdk.ExportResult{}, sdk.Errorf(sdk.AuthenticationFailed, "the token is wrong")
	}
	name := "order.json"
	if f.name != "" {
		name = f.name
	}
	if _, err := req.StorePayload(ctx, name, []byte(req.Order.ID)); err != nil {
		return sdk.ExportResult{}, err
	}
	if err := req.SaveCheckpoint(ctx, []byte("x"), name); err != nil {
		return sdk.ExportResult{}, err
	}
	return sdk.ExportResult{ExternalRef: name}, f.failure
}

func (f folder) FetchAcks(_ context.Context, _ sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
	return yield(sdk.Ack{Handle: "h", ExternalRef: f.name, Answer: sdk.Accepted{ERPOrderID: "SO-1"}})
}

func (f folder) SettleAcks(_ context.Context, req sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) {
	var result sdk.SettleAcksResult
	if f.failure != nil {
		result.Fail(req.Settlements[0].Handle, f.failure)
	}
	return result, nil
}

// record records one call of a connector.
func record(t *testing.T, connector folder, call func(connectorv1.ConnectorServiceClient)) *recording.Recording {
	t.Helper()
	service, err := sdk.NewServer(connector)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t, dir: t.TempDir()}
	call(dial(t, service, r))
	for _, text := range files(t, r.dir) {
		read, err := recording.Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return read
	}
	t.Fatal("nothing was recorded")
	return nil
}

// exported makes one export whose host answers the questions in order: true
// for stored, false for refused; without an answer it goes away.
func exported(t *testing.T, answers ...bool) func(connectorv1.ConnectorServiceClient) {
	return func(client connectorv1.ConnectorServiceClient) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := client.Export(ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = stream.Send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: &connectorv1.ExportStart{
			ExportId: "e1", Attempt: 1, ExportFormatVersion: sdk.FormatOrderflowJSONV1,
			Connection: &connectorv1.Connection{Id: "c1", Config: []byte(`{"host":"erp","token":"right"}`)}, DraftOrder: sdktest.SampleOrder(),
		}}})
		for err == nil {
			var m *connectorv1.ExportResponse
			if m, err = stream.Recv(); err != nil || m.GetResult() != nil {
				continue
			}
			if len(answers) == 0 {
				cancel()
				continue
			}
			err = stream.Send(hostAnswer(m, answers[0]))
			answers = answers[1:]
		}
	}
}

func hostAnswer(m *connectorv1.ExportResponse, ok bool) *connectorv1.ExportRequest {
	switch {
	case !ok:
		return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Refused{Refused: &connectorv1.Refusal{
			Reason: connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED,
		}}}
	case m.GetStorePayload() != nil:
		return recording.Stored(m)
	}
	return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{CheckpointSaved: &connectorv1.CheckpointSaved{}}}
}

func TestAReplayFindsWhatIsDifferent(t *testing.T) {
	t.Parallel()
	refused := sdk.Errorf(sdk.RejectedByERP, "no")
	connection := &connectorv1.Connection{Id: "c1", Config: []byte(`{"host":"erp"}`)}
	test := func(c connectorv1.ConnectorServiceClient) {
		_, _ = c.TestConnection(t.Context(), &connectorv1.TestConnectionRequest{Connection: connection})
	}
	fetch := func(c connectorv1.ConnectorServiceClient) {
		acks, err := c.FetchAcks(t.Context(), &connectorv1.FetchAcksRequest{Connection: connection})
		for err == nil {
			_, err = acks.Recv()
		}
	}
	settle := func(c connectorv1.ConnectorServiceClient) {
		_, _ = c.SettleAcks(t.Context(), &connectorv1.SettleAcksRequest{
			Connection: connection, Settlements: []*connectorv1.Settlement{{Handle: "h", Verdict: connectorv1.Verdict_VERDICT_PROCESSED}},
		})
	}
	right := `{"token":"right"}`
	for name, c := range map[string]struct {
		recorded folder
		call     func(connectorv1.ConnectorServiceClient)
		replayed folder
		overlay  string
		want     []string // how each difference begins
	}{
		"the same connector":           {folder{needToken: true}, exported(t, true, true), folder{needToken: true}, right, nil},
		"a secret that is missing":     {folder{needToken: true}, exported(t, true, true), folder{needToken: true}, "", []string{"fact 1: recorded payload order.json, replayed result success=false", "fact 2", "fact 3"}},
		"another file name":            {folder{}, exported(t, true, true), folder{name: "b.json"}, "", []string{"payload", "checkpoint", "result"}},
		"a failure instead of success": {folder{}, exported(t, true, true), folder{failure: refused}, "", []string{"result: recorded result success=true"}},
		"a refused checkpoint":         {folder{}, exported(t, true, false), folder{}, "", nil},
		"a refused payload":            {folder{}, exported(t, false), folder{}, "", nil},
		"a host that went away":        {folder{}, exported(t, true), folder{}, "", nil},
		"a test, the same":             {folder{}, test, folder{}, "", nil},
		"a test that fails now":        {folder{}, test, folder{failure: refused}, "", []string{"step", "test"}},
		"acks, the same":               {folder{}, fetch, folder{}, "", nil},
		"acks of something else":       {folder{}, fetch, folder{name: "x"}, "", []string{"ack"}},
		"settled, the same":            {folder{}, settle, folder{}, "", nil},
		"not settled any more":         {folder{}, settle, folder{failure: refused}, "", []string{"settled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := record(t, c.recorded, c.call)
			got, err := read.Replay(t.Context(), sdktest.New(t, c.replayed).Client(), []byte(c.overlay))
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("differences %v, %v", got, err)
			}
			for i, d := range got {
				if !strings.HasPrefix(d.String(), c.want[i]) {
					t.Errorf("%s, want %q", d, c.want[i])
				}
			}
		})
	}
}

func TestARecordingRunsInAConnectorsOwnTests(t *testing.T) {
	t.Parallel()
	r := &recorder{t: t, dir: t.TempDir()}
	service, err := sdk.NewServer(folder{})
	if err != nil {
		t.Fatal(err)
	}
	exported(t, true, true)(dial(t, service, r))
	path := r.dir + "/1_Export.jsonl"
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if got := sdktest.New(t, folder{}).Replay(t.Context(), path, ""); len(got) != 0 {
		t.Errorf("differences %v", got)
	}
	if got := sdktest.New(t, folder{name: "b.json"}).Replay(t.Context(), path, ""); len(got) != 3 {
		t.Errorf("differences %v", got)
	}
}
