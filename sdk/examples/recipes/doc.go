// Package recipes holds the code that docs/connectors/recipes.md shows: Export
// for ERPs that are no folder. It is compiled and tested, and meant to be
// copied, not imported.
//
//   - rest.go: an HTTP interface that can be asked for a reference
//   - jobs.go: an ERP that takes minutes for an order
//   - queue.go: a message queue
package recipes

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/orderport/orderport/sdk"
)

// config is what all recipes are configured with.
type config struct {
	URL   string     `json:"url"`
	Token sdk.Secret `json:"token"`
}

const schema = `{
	"type": "object", "additionalProperties": false, "required": ["url", "token"],
	"properties": {
		"url":   {"type": "string", "format": "uri", "title": "Address of the ERP's interface"},
		"token": {"type": "string", "writeOnly": true, "minLength": 8, "title": "Access token"}}}`

func describe(connectorType string) sdk.Description {
	return sdk.Description{
		Type: connectorType, Name: "Recipe", Version: "1.0.0", Vendor: "Orderport", Summary: "Shows how it is done.",
		ConfigSchema: []byte(schema), FormatVersions: []string{sdk.FormatOrderflowJSONV1},
	}
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// call sends a request and reads the answer into the value that into points
// to, if it is not nil.
func call(ctx context.Context, conn sdk.Connection, method, path string, body []byte, into any) error {
	cfg, err := sdk.DecodeConfig[config](conn)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return sdk.Errorf(sdk.InvalidConfig, "the url can't be used")
	}
	req.Header.Set("Authorization", "Bearer "+cfg.Token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err // the SDK knows what it means
	}
	defer resp.Body.Close()
	if err := sdk.CheckHTTP(resp); err != nil || into == nil {
		return err
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into)
}

// ping is the test of a connection: a request that changes nothing.
func ping(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	steps := sdk.NewSteps(ctx)
	steps.Run("request", func(ctx context.Context) (string, error) {
		return "the ERP answers", call(ctx, req.Connection, http.MethodGet, "/status", nil, nil)
	})
	return steps.Result()
}

// store keeps the exact bytes that are about to be delivered.
func store(ctx context.Context, req *sdk.ExportRequest) ([]byte, error) {
	body, err := json.Marshal(document{Reference: req.ExportID, Order: req.Order})
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "write the order as JSON: %w", err)
	}
	_, err = req.StorePayload(ctx, "order_"+req.ExportID+".json", body)
	return body, err
}

// document is an order with the reference that it can be found by.
type document struct {
	Reference string    `json:"reference"`
	Order     sdk.Order `json:"order"`
}
