// Command orderport-connector-webhook is an example connector: it posts each
// order as JSON to a URL. An attempt that is run again posts the same bytes
// with the same Idempotency-Key, so the receiver can tell it is the same order.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/orderport/orderport/sdk"
)

func main() { sdk.Serve(connector{}) }

type config struct {
	URL   string     `json:"url"`
	Token sdk.Secret `json:"token"`
}

const schema = `{
	"type": "object", "additionalProperties": false, "required": ["url"],
	"properties": {
		"url": {"type": "string", "format": "uri"}, "token": {"type": "string", "writeOnly": true}}}`

type connector struct{}

func (connector) Describe() sdk.Description {
	return sdk.Description{
		Type: "EXAMPLE_WEBHOOK", Name: "Example webhook", Version: "1.0.0", Vendor: "Orderport",
		Summary: "Posts each order as JSON to a URL.", ConfigSchema: []byte(schema), FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		Resume: true, // posting again has the same outcome
	}
}

func (connector) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	steps := sdk.NewSteps(ctx)
	steps.Run("request", func(ctx context.Context) (string, error) {
		return "the URL answers", call(ctx, req.Connection, http.MethodHead, "", nil)
	})
	return steps.Result()
}

func (connector) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	body, err := json.Marshal(req.Order)
	if err == nil {
		_, err = req.StorePayload(ctx, "order_"+req.ExportID+".json", body)
	}
	if err == nil {
		err = call(ctx, req.Connection, http.MethodPost, req.ExportID, body)
	}
	return sdk.ExportResult{ExternalRef: req.ExportID}, err
}

func call(ctx context.Context, conn sdk.Connection, method, key string, body []byte) error {
	cfg, err := sdk.DecodeConfig[config](conn)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, cfg.URL, bytes.NewReader(body))
	if err != nil {
		return sdk.Errorf(sdk.InvalidConfig, "the URL can't be used")
	}
	req.Header.Set("Authorization", "Bearer "+cfg.Token.Reveal())
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err // the SDK tells UNREACHABLE from TIMEOUT
	}
	defer resp.Body.Close()
	if code, failed := failures[resp.StatusCode]; failed || resp.StatusCode >= http.StatusBadRequest {
		return sdk.Errorf(cmp.Or(code, sdk.RejectedByERP), "the receiver answered %s", resp.Status)
	}
	return nil
}

var failures = map[int]sdk.Code{
	401: sdk.AuthenticationFailed, 403: sdk.PermissionDenied, 404: sdk.NotFound,
	429: sdk.Throttled, 500: sdk.Unreachable, 502: sdk.Unreachable, 503: sdk.Throttled, 504: sdk.Timeout,
}
