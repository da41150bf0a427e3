package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/orderport/orderport/sdk"
)

type folderConfig struct {
	Path string `json:"path"`
}

const folderSchema = `{
	"type": "object", "additionalProperties": false, "required": ["path"],
	"properties": {"path": {"type": "string", "minLength": 1, "title": "Folder that the orders go into"}}
}`

// folder puts each order as a JSON file into a folder, exactly once.
type folder struct{}

func (folder) Describe() sdk.Description {
	return sdk.Description{
		Type: "EXAMPLE_FOLDER", Name: "Example folder", Version: "1.0.0", Vendor: "Orderport",
		Summary:        "Puts each order as a JSON file into a folder.",
		ConfigSchema:   []byte(folderSchema),
		FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		Resume:         true,
	}
}

func (folder) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	cfg, err := sdk.DecodeConfig[folderConfig](req.Connection)
	if err != nil {
		return sdk.TestResult{}, err
	}
	steps := sdk.NewSteps(ctx)
	steps.Run("write", func(context.Context) (string, error) {
		f, err := os.CreateTemp(cfg.Path, ".test-*")
		if err != nil {
			return "", sdk.Errorf(sdk.NotFound, "can't write to the folder: %w", err)
		}
		return "the folder can be written to", errors.Join(f.Close(), os.Remove(f.Name()))
	})
	return steps.Result()
}

func (folder) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	cfg, err := sdk.DecodeConfig[folderConfig](req.Connection)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	name := "order_" + req.ExportID + ".json" // the same in every attempt
	final := filepath.Join(cfg.Path, name)
	staged := filepath.Join(cfg.Path, "."+name+".tmp")
	result := sdk.ExportResult{DropzonePath: final, ExternalRef: name}

	if req.Resume.Checkpoint != nil { // an earlier attempt may have renamed
		if _, err := os.Stat(staged); errors.Is(err, os.ErrNotExist) {
			result.Recovered = true
			return result, nil
		}
	} else if err := stage(ctx, req, staged, name); err != nil {
		return result, err
	}
	return result, os.Rename(staged, final) // the one visible step
}

// stage does what the ERP can't see, and ends with a checkpoint.
func stage(ctx context.Context, req *sdk.ExportRequest, staged, name string) error {
	data, err := json.Marshal(req.Order)
	if err != nil {
		return sdk.Errorf(sdk.InvalidOrder, "write the order as JSON: %w", err)
	}
	if err := os.WriteFile(staged, data, 0o600); err != nil {
		return sdk.Errorf(sdk.NotFound, "write %s: %w", staged, err)
	}
	if _, err := req.StorePayload(ctx, name, data); err != nil {
		return err
	}
	return req.SaveCheckpoint(ctx, []byte("staged"), name)
}

// A whole connector. Its Export shows the order of things that makes a re-run
// safe: stage, store the payload, save a checkpoint, and only then the one
// visible step.
func Example() {
	if os.Getenv("ORDERPORT_CONNECTOR_COOKIE") == "" {
		fmt.Println("main would now call sdk.Serve(folder{})")
		return
	}
	sdk.Serve(folder{})
	// Output: main would now call sdk.Serve(folder{})
}
