// Command brittle is a connector for tests: it drops files as dropzone does,
// and dies or hangs where an order's notes say so. The build decides its type
// and, by that, whether it can resume: see [forgets] and [dies].
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/orderport/orderport/sdk"
)

// What an order's notes can ask for.
const (
	dieAtOnce     = "die at once"
	dieCheckpoint = "die after the checkpoint"
	dieDelivered  = "die after the delivery"
	hangDelivered = "hang after the delivery"
)

// The two types.
const (
	forgets = "FORGETS" // can't resume
	dies    = "DIES"    // resumes, and is fenced
)

// connectorType is set by the build.
var connectorType = forgets

func main() { sdk.Serve(connector{}) }

type config struct {
	Dir string `json:"dir"`
}

const schema = `{"type": "object", "additionalProperties": false, "required": ["dir"], "properties": {"dir": {"type": "string"}}}`

type connector struct{}

func (connector) Describe() sdk.Description {
	return sdk.Description{
		Type: connectorType, Name: "Brittle", Version: "1.0.0", Vendor: "Orderport", Summary: "Drops files, unless it dies.",
		ConfigSchema: []byte(schema), FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		Resume: connectorType == dies, Fenced: connectorType == dies,
	}
}

func (connector) TestConnection(context.Context, sdk.TestRequest) (sdk.TestResult, error) {
	return sdk.TestResult{}, nil
}

func (connector) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	cfg, err := sdk.DecodeConfig[config](req.Connection)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	at(req, dieAtOnce)
	if connectorType == dies {
		if err := req.SaveCheckpoint(ctx, []byte("about to deliver"), ""); err != nil {
			return sdk.ExportResult{}, err
		}
	}
	at(req, dieCheckpoint)
	recovered, err := drop(cfg.Dir, req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	at(req, dieDelivered)
	if notes(req) == hangDelivered {
		<-ctx.Done()
	}
	return sdk.ExportResult{Recovered: recovered}, nil
}

// drop writes the file that the ERP of these tests reads and leaves in place,
// so that it is there once however often it is dropped.
func drop(dir string, req *sdk.ExportRequest) (again bool, err error) {
	content, err := json.Marshal(map[string]any{"draft_order_id": req.Order.ID, "lines": req.Order.Lines})
	if err != nil {
		return false, err
	}
	tmp := filepath.Join(dir, req.ExportID+".tmp")
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return false, err
	}
	err = os.Link(tmp, filepath.Join(dir, "sales_order_"+req.ExportID+".json"))
	if errors.Is(err, fs.ErrExist) {
		again, err = true, nil
	}
	return again, errors.Join(err, os.Remove(tmp))
}

func notes(req *sdk.ExportRequest) string {
	if req.Order.Notes == nil {
		return ""
	}
	return *req.Order.Notes
}

// at ends the process where the order asks for it.
func at(req *sdk.ExportRequest, moment string) {
	if notes(req) == moment {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	}
}
