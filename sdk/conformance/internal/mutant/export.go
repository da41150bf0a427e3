package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// Export implements the Port.
func (s *service) Export(stream connectorv1.ConnectorService_ExportServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	e := &export{mutant: s.mutant, stream: stream, start: first.GetStart()}
	e.leak(e.start)
	result, err := e.run(stream.Context())
	if err != nil {
		return err // cut off: the next attempt finds out
	}
	result.ExportId = e.start.GetExportId()
	result.Success = result.GetError() == nil
	id := e.start.GetExportId()
	if s.is("logs-without-export-id") {
		id = ""
	}
	s.log.print("info", "export ended", id)
	return stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{Result: result}})
}

// export is one attempt.
type export struct {
	*mutant
	stream connectorv1.ConnectorService_ExportServer
	start  *connectorv1.ExportStart
	config config
	at     place
	data   []byte
	key    string // where the host keeps the payload
}

// checkpoint is what the host remembers between attempts.
type checkpoint struct {
	Temporary string `json:"temporary"`
}

var exportID = regexp.MustCompile(`^[0-9a-f-]{36}$`)

func failed(e *connectorv1.Error) *connectorv1.ExportResult {
	return &connectorv1.ExportResult{Error: e}
}

// run returns a result, or the error that ended the conversation.
func (e *export) run(ctx context.Context) (*connectorv1.ExportResult, error) {
	var invalid *connectorv1.Error
	if e.config, invalid = e.decode(e.start.GetConnection()); invalid != nil {
		return failed(e.inDoubt(invalid)), nil
	}
	if e.data, invalid = e.document(); invalid != nil {
		return failed(e.inDoubt(invalid)), nil
	}
	var err error
	if e.at, err = e.open(ctx, e.config); err != nil {
		return e.failure(ctx, "connect", err)
	}
	defer e.at.close()
	// A server that hangs must not hang the call.
	defer context.AfterFunc(ctx, e.at.close)()
	if e.start.GetResume() != nil && e.start.GetResume().Checkpoint != nil {
		return e.resume(ctx)
	}
	if err := e.removeLeftovers(); err != nil {
		return e.failure(ctx, "look for what an earlier attempt left", err)
	}
	return e.deliver(ctx)
}

// inDoubt keeps an error from being final where an earlier attempt may have
// delivered.
func (e *export) inDoubt(err *connectorv1.Error) *connectorv1.Error {
	if e.start.GetResume() != nil && e.start.GetResume().Checkpoint != nil {
		err.Retryable = true
	}
	return err
}

// failure reports what went wrong at the target; after the call has ended
// there is nobody to report to.
func (e *export) failure(ctx context.Context, what string, err error) (*connectorv1.ExportResult, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	e.tell(&what)
	return failed(classify(ctx, what, err)), nil
}

// tell adds to a message what should not be in it.
func (e *export) tell(message *string) {
	if e.is("secret-in-error") {
		*message += " with " + e.config.Token
	}
}

// document checks the order and writes it as JSON.
func (e *export) document() ([]byte, *connectorv1.Error) {
	if !exportID.MatchString(e.start.GetExportId()) {
		return nil, fault(port.InvalidOrder, "the export id is no UUID")
	}
	if invalid := checkOrder(e.start.GetDraftOrder()); invalid != nil {
		return nil, invalid
	}
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e.start.GetDraftOrder())
	if err != nil {
		return nil, fault(port.InvalidOrder, "the order can't be written as JSON")
	}
	if len(data) > maxPayload && !e.is("delivers-beyond-limit") {
		return nil, fault(port.InvalidOrder, "the order has %d bytes, more than %d", len(data), maxPayload)
	}
	return data, nil
}

func (e *export) name() string { return "order_" + e.start.GetExportId() + ".json" }

func (e *export) final() string { return path.Join(e.config.Dir, e.name()) }

func (e *export) removeLeftovers() error {
	infos, err := e.at.list(e.config.Dir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name(), e.name()+".") && strings.HasSuffix(info.Name(), ".tmp") {
			if err := e.at.remove(path.Join(e.config.Dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// deliver does all of it: payload, temporary file, checkpoint, rename.
func (e *export) deliver(ctx context.Context) (*connectorv1.ExportResult, error) {
	if refused, err := e.store(); refused != nil || err != nil {
		return refused, err
	}
	temporary := fmt.Sprintf("%s.%d.tmp", e.name(), e.start.GetAttempt())
	if err := e.at.write(path.Join(e.config.Dir, temporary), e.data); err != nil {
		_ = e.at.remove(path.Join(e.config.Dir, temporary))
		return e.failure(ctx, "write the order", err)
	}
	if refused, err := e.save(checkpoint{Temporary: temporary}); refused != nil || err != nil {
		return refused, err
	}
	return e.publish(ctx, temporary, false)
}

// publish makes the visible step.
func (e *export) publish(ctx context.Context, temporary string, recovered bool) (*connectorv1.ExportResult, error) {
	err := e.at.rename(path.Join(e.config.Dir, temporary), e.final())
	if errors.Is(err, fs.ErrNotExist) {
		recovered, err = true, nil // the other attempt was faster
	}
	if err != nil {
		return e.failure(ctx, "rename the order", err)
	}
	return e.success(recovered), nil
}

func (e *export) success(recovered bool) *connectorv1.ExportResult {
	result := &connectorv1.ExportResult{
		StorageKey: e.key, DropzonePath: e.final(), ExternalRef: e.name(), Recovered: recovered,
	}
	if e.is("no-external-ref") {
		result.ExternalRef = ""
	}
	if e.is("secret-in-metadata") {
		result.Metadata = map[string]string{"token": e.config.Token}
	}
	return result
}

// resume goes on from a checkpoint.
func (e *export) resume(ctx context.Context) (*connectorv1.ExportResult, error) {
	var c checkpoint
	if err := json.Unmarshal(e.start.GetResume().GetCheckpoint(), &c); err != nil || c.Temporary == "" {
		return failed(fault(port.OutcomeUnknown, "the checkpoint can't be read")), nil
	}
	e.key = e.start.GetResume().GetPayload().GetStorageKey()
	_, err := e.at.stat(path.Join(e.config.Dir, c.Temporary))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.success(true), nil
	case err != nil:
		return e.failure(ctx, "look for the order", err)
	}
	return e.publish(ctx, c.Temporary, false)
}

// store hands the payload to the host, in chunks. A result means that the host
// has refused.
func (e *export) store() (*connectorv1.ExportResult, error) {
	name := e.name()
	for rest := e.data; ; {
		chunk := rest[:min(len(rest), port.MaxChunk)]
		if e.is("one-chunk") {
			chunk = rest
		}
		rest = rest[len(chunk):]
		if err := e.stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_StorePayload{
			StorePayload: &connectorv1.StorePayload{FileName: name, Data: chunk, Last: len(rest) == 0},
		}}); err != nil {
			return nil, err
		}
		name = ""
		if len(rest) == 0 {
			break
		}
	}
	answer, refused, err := e.answer()
	e.key = answer.GetPayloadStored().GetStorageKey()
	return refused, err
}

// save hands a checkpoint to the host.
func (e *export) save(c checkpoint) (*connectorv1.ExportResult, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := e.stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_SaveCheckpoint{
		SaveCheckpoint: &connectorv1.SaveCheckpoint{Data: data, ExternalRef: e.name()},
	}}); err != nil {
		return nil, err
	}
	_, refused, err := e.answer()
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
			refused := fault(port.Internal, "the host refused: %s", m.Refused.GetMessage())
			refused.Details = map[string]string{"refusal": m.Refused.GetReason().String()}
			return nil, failed(refused), nil
		}
	}
}
