package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog" //nolint:depguard // go-plugin wants one to be silent
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// portOf starts a connector as the host does and returns its Port.
func portOf(t *testing.T, binary string) connectorv1.ConnectorServiceClient {
	t.Helper()
	dir, err := os.MkdirTemp("", "op") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(binary)
	cmd.Env = []string{plugin.EnvUnixSocketDir + "=" + dir}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: port.ProtocolVersion, MagicCookieKey: port.CookieKey, MagicCookieValue: port.CookieValue,
		},
		Plugins:          plugin.PluginSet{port.PluginName: portPlugin{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     aLong,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protocol.Dispense(port.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	return raw.(connectorv1.ConnectorServiceClient)
}

type portPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (portPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (portPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return connectorv1.NewConnectorServiceClient(conn), nil
}

// attempts runs the attempts of one export, with a host's memory.
type attempts struct {
	port        connectorv1.ConnectorServiceClient
	id          string
	number      uint32
	checkpoints [][]byte // all that were asked for; the last one comes back
	// saving is called before a checkpoint is answered; an attempt ends there,
	// as one that is cut off, if it returns false.
	saving func() bool
}

// run makes one attempt against a directory. It returns nil if it was cut off.
func (a *attempts) run(t *testing.T, dir string) *connectorv1.ExportResult {
	t.Helper()
	ctx, cut := context.WithCancel(bounded(t))
	defer cut()
	stream, err := a.port.Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: a.start(t, dir)}}); err != nil {
		t.Fatal(err)
	}
	for {
		said, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		answer := &connectorv1.ExportRequest{}
		switch m := said.GetMessage().(type) {
		case *connectorv1.ExportResponse_Result:
			return m.Result
		case *connectorv1.ExportResponse_StorePayload:
			answer.Message = &connectorv1.ExportRequest_PayloadStored{PayloadStored: &connectorv1.PayloadStored{StorageKey: "key"}}
		case *connectorv1.ExportResponse_SaveCheckpoint:
			a.checkpoints = append(a.checkpoints, m.SaveCheckpoint.GetData())
			if a.saving != nil && !a.saving() {
				return nil
			}
			answer.Message = &connectorv1.ExportRequest_CheckpointSaved{CheckpointSaved: &connectorv1.CheckpointSaved{}}
		}
		if err := stream.Send(answer); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *attempts) start(t *testing.T, dir string) *connectorv1.ExportStart {
	t.Helper()
	config, err := json.Marshal(map[string]string{"directory": dir})
	if err != nil {
		t.Fatal(err)
	}
	a.number++
	start := &connectorv1.ExportStart{
		ExportId: a.id, Attempt: a.number, ExportFormatVersion: "orderflow_export_json_v1",
		Connection: &connectorv1.Connection{OrgSlug: "acme", Config: config},
		DraftOrder: &connectorv1.DraftOrder{
			Id: a.id, Status: "APPROVED", Currency: "EUR", Customer: &connectorv1.Customer{Name: "Muster GmbH"},
			Lines: []*connectorv1.OrderLine{{LineNo: 1, InternalSku: "A", Qty: "1", Uom: "PCE"}},
		},
	}
	if n := len(a.checkpoints); n > 0 {
		start.Resume = &connectorv1.Resume{Checkpoint: a.checkpoints[n-1], Payload: &connectorv1.PayloadStored{StorageKey: "key"}}
	}
	return start
}

// file is the name that the order gets.
func (a *attempts) file() string { return "sales_order_" + a.id + ".json" }

// never cuts an attempt off when it has asked for a checkpoint.
func never() bool { return false }

// recovery is what happens between a first attempt, which is cut off with its
// checkpoint saved, and a second one.
type recovery struct {
	between func(t *testing.T, a *attempts, dir string) (next string)
	// want is "delivered", "recovered" or the error's code.
	want string
	// left are the files in the first directory, and in the one of the second
	// attempt if that is another; FILE is the order's.
	left, moved []string
}

var recoveries = map[string]recovery{
	"the staged file is there": {
		between: stay, want: "delivered", left: []string{"FILE"},
	},
	"the file was renamed": {
		between: func(t *testing.T, a *attempts, dir string) string {
			must(t, os.Rename(filepath.Join(dir, only(t, dir)), filepath.Join(dir, a.file())))
			return dir
		},
		want: "recovered", left: []string{"FILE"},
	},
	"the file was consumed": {
		between: func(t *testing.T, _ *attempts, dir string) string {
			must(t, os.Remove(filepath.Join(dir, only(t, dir))))
			return dir
		},
		want: "recovered",
	},
	"the checkpoint was not saved": {
		between: func(_ *testing.T, a *attempts, dir string) string {
			a.checkpoints = nil
			return dir
		},
		want: "delivered", left: []string{"FILE"},
	},
	"the config names another directory": {
		between: func(t *testing.T, _ *attempts, _ string) string { return t.TempDir() },
		want:    "delivered", moved: []string{"FILE"},
	},
	"a foreign file is in the way": {
		between: func(t *testing.T, a *attempts, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, a.file()), []byte("foreign"), 0o600))
			return dir
		},
		want: "CONFLICT", left: []string{"FILE"},
	},
	"it died while it took the file back": {
		between: func(t *testing.T, _ *attempts, dir string) string {
			staged := filepath.Join(dir, only(t, dir))
			must(t, os.Rename(staged, strings.TrimSuffix(staged, ".part")+".withdrawn.part"))
			return dir
		},
		want: "delivered", left: []string{"FILE"},
	},
	"another directory is in the place": {
		between: func(t *testing.T, _ *attempts, dir string) string {
			must(t, os.Rename(dir, dir+".away")) // keeps its inode in use
			must(t, os.Mkdir(dir, 0o755))
			return dir
		},
		want: "OUTCOME_UNKNOWN",
	},
	"the directory is missing": {
		between: func(t *testing.T, _ *attempts, dir string) string {
			must(t, os.Rename(dir, dir+".away"))
			return dir
		},
		want: "NOT_FOUND",
	},
	"the checkpoint can not be understood": {
		between: func(_ *testing.T, a *attempts, dir string) string {
			a.checkpoints = [][]byte{[]byte(`{"v":99}`)}
			return dir
		},
		want: "OUTCOME_UNKNOWN", left: []string{"STAGED"},
	},
}

func stay(_ *testing.T, _ *attempts, dir string) string { return dir }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// only returns the name of the one file in a directory.
func only(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, want 1 (%v)", len(entries), err)
	}
	return entries[0].Name()
}

// TestConnectorsInOtherLanguagesRecover cuts attempts off once their checkpoint
// is saved, and looks at what the next attempt makes of it.
func TestConnectorsInOtherLanguagesRecover(t *testing.T) {
	t.Parallel()
	folder := built(t)
	for connectorType, binary := range foreign {
		t.Run(connectorType, func(t *testing.T) {
			t.Parallel()
			client := portOf(t, filepath.Join(folder, binary))
			for name, r := range recoveries {
				t.Run(name, func(t *testing.T) {
					a := &attempts{port: client, id: uuid.NewString(), saving: never}
					r.check(t, a, filepath.Join(t.TempDir(), "inbox"))
				})
			}
			t.Run("a foreign file comes at the last moment", func(t *testing.T) {
				a, dir := &attempts{port: client, id: uuid.NewString()}, t.TempDir()
				a.saving = func() bool {
					return len(a.checkpoints) > 1 || os.WriteFile(filepath.Join(dir, a.file()), []byte("foreign"), 0o600) == nil
				}
				a.conflicts(t, dir)
			})
		})
	}
}

func (r recovery) check(t *testing.T, a *attempts, dir string) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	if result := a.run(t, dir); result != nil {
		t.Fatalf("the first attempt ended: %v", result)
	}
	next := r.between(t, a, dir)
	a.saving = nil
	result := a.run(t, next)
	if got := outcomeOf(result); got != r.want {
		t.Errorf("the second attempt: %s, want %s: %v", got, r.want, result)
	}
	a.holds(t, dir, r.left)
	if next != dir {
		a.holds(t, next, r.moved)
	}
	if r.want == "CONFLICT" {
		must(t, os.Remove(filepath.Join(dir, a.file())))
		if got := outcomeOf(a.run(t, dir)); got != "delivered" {
			t.Errorf("once the way is free: %s, want delivered", got)
		}
	}
}

func (a *attempts) conflicts(t *testing.T, dir string) {
	t.Helper()
	if got := outcomeOf(a.run(t, dir)); got != "CONFLICT" {
		t.Errorf("it ended with %s, want CONFLICT", got)
	}
	a.holds(t, dir, []string{"FILE"})
	if raw, err := os.ReadFile(filepath.Join(dir, a.file())); string(raw) != "foreign" {
		t.Errorf("the foreign file has %q (%v)", raw, err)
	}
}

func outcomeOf(r *connectorv1.ExportResult) string {
	switch {
	case !r.GetSuccess():
		return strings.TrimPrefix(r.GetError().GetCode().String(), "ERROR_CODE_")
	case r.GetRecovered():
		return "recovered"
	}
	return "delivered"
}

// holds checks what is in a directory; a missing one holds nothing.
func (a *attempts) holds(t *testing.T, dir string, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		name := strings.ReplaceAll(entry.Name(), a.file(), "FILE")
		if strings.HasPrefix(name, ".FILE.") {
			name = "STAGED"
		}
		got = append(got, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(fmt.Sprintf("files in %s (-want +got):\n", filepath.Base(dir)) + diff)
	}
}
