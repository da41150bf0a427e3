package sdk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

type exportStream = grpc.BidiStreamingServer[connectorv1.ExportRequest, connectorv1.ExportResponse]

// Export implements the Port.
func (s *server) Export(stream exportStream) error {
	if err := s.calls.begin(); err != nil {
		return err
	}
	defer s.calls.end()
	start, err := receiveStart(stream)
	if err != nil {
		return err
	}
	conn := s.configs.connection(start.GetConnection())
	ctx := withLogAttrs(stream.Context(),
		slog.String("export_id", start.GetExportId()),
		slog.Int64("attempt", int64(start.GetAttempt())),
		slog.String("connection_id", conn.ID))
	host := &exchange{stream: stream, conn: conn}
	var result ExportResult
	if err = s.accepts(start, conn); err == nil {
		req := newExportRequest(start, conn, host)
		method, run := "Export", s.connector.Export
		if s.resumer != nil && req.Resume.Checkpoint != nil {
			method, run = "ResumeExport", s.resumer.ResumeExport
		}
		err = s.calls.run(ctx, method, func() (err error) {
			result, err = run(ctx, req)
			return err
		})
	}
	state := host.close()
	state.resumed = start.GetResume() != nil && start.GetResume().Checkpoint != nil
	state.canResume = s.description.Resume
	if answer, err := state.verdict(ctx, err); answer != nil || err != nil {
		if err != nil {
			return err
		}
		return sendResult(stream, &connectorv1.ExportResult{
			ExportId: start.GetExportId(), Error: errorProto(answer, conn), StorageKey: state.storageKey(start),
		})
	}
	if result.StorageKey == "" {
		result.StorageKey = state.storageKey(start)
	}
	return sendResult(stream, result.proto(start.GetExportId(), conn))
}

func receiveStart(stream exportStream) (*connectorv1.ExportStart, error) {
	first, err := stream.Recv()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "export: the host sent no start")
	}
	start := first.GetStart()
	if start == nil || start.GetExportId() == "" || start.GetDraftOrder() == nil {
		return nil, status.Error(codes.InvalidArgument, "export: the first message must be a start with export id and order")
	}
	return start, nil
}

func (s *server) accepts(start *connectorv1.ExportStart, conn Connection) error {
	if v := start.GetExportFormatVersion(); !slices.Contains(s.description.FormatVersions, v) {
		return Errorf(Unimplemented, "the connector can't write the export format %q", v)
	}
	return conn.config.check()
}

func newExportRequest(start *connectorv1.ExportStart, conn Connection, host *exchange) *ExportRequest {
	return &ExportRequest{
		ExportID:      start.GetExportId(),
		Attempt:       int(start.GetAttempt()),
		CreatedAt:     start.GetCreatedAt().AsTime(),
		FormatVersion: start.GetExportFormatVersion(),
		Connection:    conn,
		Order:         orderFromProto(start.GetDraftOrder()),
		Resume:        resumeFromProto(start.GetResume()),
		host:          host,
	}
}

func resumeFromProto(p *connectorv1.Resume) Resume {
	var resume Resume
	if p == nil {
		return resume
	}
	if p.Checkpoint != nil {
		resume.Checkpoint = append([]byte{}, p.GetCheckpoint()...)
	}
	if p.GetPayload() != nil {
		payload := payloadFromProto(p.GetPayload())
		resume.Payload = &payload
	}
	return resume
}

func payloadFromProto(p *connectorv1.PayloadStored) Payload {
	payload := Payload{StorageKey: p.GetStorageKey(), Size: int64(p.GetSize())} //nolint:gosec // the host's own size
	copy(payload.SHA256[:], p.GetSha256())
	return payload
}

func sendResult(stream exportStream, result *connectorv1.ExportResult) error {
	return stream.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{Result: result}})
}

const maxMetadata = 64

func (r ExportResult) proto(exportID string, conn Connection) *connectorv1.ExportResult {
	p := &connectorv1.ExportResult{
		Success:      true,
		ExportId:     exportID,
		StorageKey:   clean(r.StorageKey),
		DropzonePath: clean(r.DropzonePath),
		ExternalRef:  clean(r.ExternalRef),
		ErpOrderId:   clean(r.ERPOrderID),
		Metadata:     cleanMap(r.Metadata, conn),
		Recovered:    r.Recovered,
	}
	return p
}

// exchange is the connector's side of the conversation in one Export.
type exchange struct {
	conn Connection

	mu     sync.Mutex // held for a whole question and answer
	stream exportStream
	state  exchangeState
}

// exchangeState is what the conversation tells about the outcome.
type exchangeState struct {
	closed       bool
	failed       error         // the stream broke; nothing more can be said
	refused      *RefusedError // the first refusal
	checkpointed bool          // a checkpoint may be durable
	payload      *Payload      // the last one stored

	resumed   bool // an earlier attempt left a checkpoint
	canResume bool
}

// close ends the conversation: a connector that goes on after its call can
// store nothing any more. A question that is under way is waited for, which
// its answer or the end of the stream's context bounds.
func (x *exchange) close() exchangeState {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.state.closed = true
	return x.state
}

func (s *exchangeState) storageKey(start *connectorv1.ExportStart) string {
	if s.payload != nil {
		return s.payload.StorageKey
	}
	return start.GetResume().GetPayload().GetStorageKey()
}

var errOver = errors.New("the export call is over")

func (x *exchange) usable(ctx context.Context) error {
	switch {
	case x == nil:
		return errors.New("the request was not made by a host")
	case x.state.closed:
		return errOver
	case x.state.failed != nil:
		return x.state.failed
	case x.state.refused != nil:
		return x.state.refused
	}
	return ctx.Err()
}

func (x *exchange) storePayload(ctx context.Context, fileName string, data []byte) (Payload, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.usable(ctx); err != nil {
		return Payload{}, fmt.Errorf("store payload: %w", err)
	}
	chunks := slices.Collect(slices.Chunk(data, port.MaxChunk))
	if len(chunks) == 0 {
		chunks = [][]byte{nil}
	}
	for i, chunk := range chunks {
		part := &connectorv1.StorePayload{Data: chunk, Last: i == len(chunks)-1}
		if i == 0 {
			part.FileName = fileName
		}
		if err := x.send(&connectorv1.ExportResponse{
			Message: &connectorv1.ExportResponse_StorePayload{StorePayload: part},
		}); err != nil {
			return Payload{}, fmt.Errorf("store payload: %w", err)
		}
	}
	answer, err := x.answer()
	if err != nil {
		return Payload{}, fmt.Errorf("store payload: %w", err)
	}
	return x.stored(answer, data)
}

func (x *exchange) stored(answer *connectorv1.ExportRequest, data []byte) (Payload, error) {
	if answer.GetPayloadStored() == nil {
		return Payload{}, x.fail("store payload: the host answered something else")
	}
	payload := payloadFromProto(answer.GetPayloadStored())
	if payload.Size != int64(len(data)) || payload.SHA256 != sha256.Sum256(data) {
		return Payload{}, x.fail("store payload: the host stored other bytes than it was sent")
	}
	x.state.payload = &payload
	return payload, nil
}

func (x *exchange) saveCheckpoint(ctx context.Context, data []byte, externalRef string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.usable(ctx); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if len(data) > port.MaxCheckpoint {
		x.state.refused = &RefusedError{
			Reason: RefusedTooLarge, Message: fmt.Sprintf("a checkpoint has at most %d bytes", port.MaxCheckpoint),
		}
		return fmt.Errorf("save checkpoint: %w", x.state.refused)
	}
	x.state.checkpointed = true
	if err := x.send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_SaveCheckpoint{
		SaveCheckpoint: &connectorv1.SaveCheckpoint{Data: data, ExternalRef: externalRef},
	}}); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	answer, err := x.answer()
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if answer.GetCheckpointSaved() == nil {
		return x.fail("save checkpoint: the host answered something else")
	}
	return nil
}

func (x *exchange) progress(message string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.usable(context.Background()) != nil {
		return
	}
	_ = x.send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Progress{
		Progress: &connectorv1.Progress{Message: clean(x.conn.Redact(message))},
	}})
}

func (x *exchange) send(message *connectorv1.ExportResponse) error {
	if err := x.stream.Send(message); err != nil {
		return x.broke(err)
	}
	return nil
}

// answer waits for what the host says to the last question. Messages that are
// unknown to this SDK are skipped.
func (x *exchange) answer() (*connectorv1.ExportRequest, error) {
	for {
		message, err := x.stream.Recv()
		if err != nil {
			return nil, x.broke(err)
		}
		if refusal := message.GetRefused(); refusal != nil {
			x.state.refused = refusedFromProto(refusal)
			return nil, x.state.refused
		}
		if message.GetMessage() != nil {
			return message, nil
		}
	}
}

// broke remembers that the stream is of no more use.
func (x *exchange) broke(err error) error {
	switch {
	case x.stream.Context().Err() != nil:
		err = x.stream.Context().Err()
	case errors.Is(err, io.EOF):
		err = errors.New("the host has ended the conversation")
	}
	x.state.failed = err
	return err
}

func (x *exchange) fail(text string) error {
	x.state.failed = errors.New(text)
	return x.state.failed
}
