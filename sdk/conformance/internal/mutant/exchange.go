package main

import (
	"context"
	"encoding/json"
	"path"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// store hands the payload to the host, in chunks. A result means that the host
// has refused.
func (e *export) store() (*connectorv1.ExportResult, error) {
	name := e.name()
	if e.is("bad-file-name") {
		name = "order " + name
	}
	for rest := e.payload(); ; {
		chunk := rest[:min(len(rest), port.MaxChunk)]
		if e.is("one-chunk") {
			chunk = rest
		}
		rest = rest[len(chunk):]
		if err := e.stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_StorePayload{
			StorePayload: &connectorv1.StorePayload{FileName: name, Data: chunk, Last: len(rest) == 0},
		}}); err != nil && !e.is("outlives-cancel") {
			return nil, err
		}
		name = ""
		if len(rest) == 0 {
			break
		}
	}
	answer, refused, err := e.answer()
	if err != nil && e.is("outlives-cancel") {
		return nil, nil
	}
	e.key = answer.GetPayloadStored().GetStorageKey()
	return refused, err
}

// save hands a checkpoint to the host.
func (e *export) save(ctx context.Context, c checkpoint) (*connectorv1.ExportResult, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := e.stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_SaveCheckpoint{
		SaveCheckpoint: &connectorv1.SaveCheckpoint{Data: data, ExternalRef: e.name()},
	}}); err != nil && !e.is("outlives-cancel") {
		return nil, err
	}
	if e.is("does-not-wait") {
		_, _ = e.publish(ctx, c.Temporary, false)
	}
	_, refused, err := e.answer()
	if err != nil && e.is("outlives-cancel") {
		return nil, nil
	}
	if err != nil && e.is("goes-on-after-cancel") {
		e.publishLater(c.Temporary)
	}
	if reason := refused.GetError().GetDetails()["refusal"]; reason == "REFUSAL_REASON_SUPERSEDED" {
		_ = e.at.remove(path.Join(e.config.Dir, c.Temporary)) // nothing names it
	}
	return refused, err
}

// answer waits for what the host says, past messages that it does not know.
func (e *export) answer() (*connectorv1.ExportRequest, *connectorv1.ExportResult, error) {
	for {
		message, err := e.stream.Recv()
		if err != nil {
			return nil, nil, err
		}
		if e.stopping.Load() && e.is("final-error-at-stop") {
			return nil, failed(fault(port.Conflict, "the connector is stopping")), nil
		}
		switch m := message.GetMessage().(type) {
		case *connectorv1.ExportRequest_PayloadStored, *connectorv1.ExportRequest_CheckpointSaved:
			return message, nil, nil
		case *connectorv1.ExportRequest_Refused:
			if e.is("ignores-refusal") {
				return message, nil, nil
			}
			refused := fault(port.Internal, "the host refused: %s", m.Refused.GetMessage())
			refused.Retryable = !e.is("refusal-is-final")
			refused.Details = map[string]string{"refusal": m.Refused.GetReason().String()}
			return nil, failed(refused), nil
		default:
			if e.is("refuses-unknown") {
				return nil, failed(fault(port.Internal, "an unknown message")), nil
			}
		}
	}
}
