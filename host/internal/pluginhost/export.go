package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/orderport/orderport/host/internal/connector"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	sdkport "github.com/orderport/orderport/sdk/port"
)

// endOfStream is how long a connector may keep the stream open after its
// result.
const endOfStream = 2 * time.Second

// exchange is one Export stream. It lives on the stack of the call: the hot
// path starts no goroutine of its own.
type exchange struct {
	inst   *instance
	host   *Host
	start  *connectorv1.ExportStart
	sink   connector.Sink
	stream grpc.BidiStreamingClient[connectorv1.ExportRequest, connectorv1.ExportResponse]

	payload payload
	refused *connectorv1.Refusal // the first one; the attempt can't succeed any more
}

func (i *instance) export(ctx context.Context, h *Host, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // whatever went wrong, the connector learns that nobody listens
	stream, err := i.clientFor(start).Export(ctx)
	if err != nil {
		return nil, &notSentError{err}
	}
	x := &exchange{inst: i, host: h, start: start, sink: sink, stream: stream}
	if err := x.send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: start}}); err != nil {
		return nil, err
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, i.contract("the stream ended without a result")
		}
		if err != nil {
			return nil, err
		}
		if result := msg.GetResult(); result != nil {
			return x.finish(result, cancel)
		}
		if err := x.handle(ctx, msg); err != nil {
			return nil, err
		}
	}
}

// ordinary is the size up to which an export shares the tunnel with others: a
// larger one would hold them up.
const ordinary = 256 << 10

func (i *instance) clientFor(start *connectorv1.ExportStart) connectorv1.ConnectorServiceClient {
	if i.tunnel == nil || proto.Size(start) > ordinary {
		return i.client
	}
	return i.through
}

// send hides grpc's io.EOF, which only says that Recv knows the real error.
func (x *exchange) send(msg *connectorv1.ExportRequest) error {
	if err := x.stream.Send(msg); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (x *exchange) handle(ctx context.Context, msg *connectorv1.ExportResponse) error {
	switch m := msg.GetMessage().(type) {
	case *connectorv1.ExportResponse_StorePayload:
		return x.storePayload(ctx, m.StorePayload)
	case *connectorv1.ExportResponse_SaveCheckpoint:
		return x.saveCheckpoint(ctx, m.SaveCheckpoint)
	case *connectorv1.ExportResponse_Progress:
		x.sink.Progress(x.host.tidyTo(m.Progress.GetMessage(), maxDetail))
	}
	return nil // a message that we don't know is ignored
}

func (x *exchange) storePayload(ctx context.Context, chunk *connectorv1.StorePayload) error {
	if err := x.payload.add(chunk); err != nil {
		return x.inst.contract(err.Error())
	}
	if !chunk.GetLast() {
		return nil
	}
	name, data, refusal := x.payload.take()
	if x.refused != nil || refusal != nil {
		return x.refuse(refusal)
	}
	stored, err := x.sink.StorePayload(ctx, name, data)
	if err != nil {
		return x.notStored(ctx, err)
	}
	return x.send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_PayloadStored{PayloadStored: stored}})
}

func (x *exchange) saveCheckpoint(ctx context.Context, c *connectorv1.SaveCheckpoint) error {
	if x.payload.open {
		return x.inst.contract("a checkpoint in the middle of a payload")
	}
	if x.refused != nil {
		return x.refuse(nil)
	}
	if len(c.GetData()) > sdkport.MaxCheckpoint {
		return x.refuse(&connectorv1.Refusal{
			Reason:  connectorv1.RefusalReason_REFUSAL_REASON_TOO_LARGE,
			Message: fmt.Sprintf("the checkpoint has %d bytes, at most %d are allowed", len(c.GetData()), sdkport.MaxCheckpoint),
		})
	}
	if err := x.sink.SaveCheckpoint(ctx, c.GetData(), c.GetExternalRef()); err != nil {
		return x.notStored(ctx, err)
	}
	return x.send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{CheckpointSaved: &connectorv1.CheckpointSaved{}}})
}

// notStored tells the connector that the host did not do it, so that it ends
// the attempt in good order: it then knows that it must not go on, and the
// host knows how far it got.
func (x *exchange) notStored(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var refused *connector.RefusedError
	if errors.As(err, &refused) {
		return x.refuse(&connectorv1.Refusal{Reason: refused.Reason, Message: refused.Message})
	}
	x.host.log.WarnContext(ctx, "export: the host can't store what the connector sent",
		"export_id", x.start.GetExportId(), "error", err)
	return x.refuse(&connectorv1.Refusal{
		Reason:  connectorv1.RefusalReason_REFUSAL_REASON_STORAGE,
		Message: "the host can't store it for now",
	})
}

// refuse sends a refusal; nil repeats the first one.
func (x *exchange) refuse(r *connectorv1.Refusal) error {
	if x.refused == nil {
		x.refused = r
	}
	return x.send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Refused{Refused: x.refused}})
}

// finish checks the result and the end of the stream. A process that dies, or
// a stream that breaks, after the whole result has arrived changes nothing: the
// connector has said how the attempt ended. Only a further message does.
func (x *exchange) finish(result *connectorv1.ExportResult, cancel context.CancelFunc) (*connectorv1.ExportResult, error) {
	if err := x.check(result); err != nil {
		return nil, err
	}
	_ = x.stream.CloseSend() // Recv knows what went wrong
	late := time.AfterFunc(endOfStream, cancel)
	defer late.Stop()
	for {
		msg, err := x.stream.Recv()
		if err != nil {
			break
		}
		if msg.GetMessage() != nil {
			return nil, x.inst.contract("a message after the result")
		}
	}
	x.host.tidyError(result.GetError())
	x.host.tidyMap(result.GetMetadata())
	return result, nil
}

func (x *exchange) check(r *connectorv1.ExportResult) error {
	switch {
	case r.GetSuccess() && r.GetError() != nil:
		return x.inst.contract("a result with success and an error")
	case !r.GetSuccess() && r.GetError() == nil:
		return x.inst.contract("a result with neither success nor an error")
	case r.GetExportId() != x.start.GetExportId():
		return x.inst.contract(fmt.Sprintf("a result for export %q instead of %q", clip(r.GetExportId()), x.start.GetExportId()))
	case x.payload.open:
		return x.inst.contract("a result in the middle of a payload")
	case r.GetSuccess() && x.refused != nil:
		return x.inst.contract("a success although the host had refused to store something: " + x.refused.GetMessage())
	}
	return nil
}
