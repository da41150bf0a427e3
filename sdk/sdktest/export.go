package sdktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"regexp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// Fault is what a host does instead of storing something and saying so.
type Fault struct {
	refusal *connectorv1.Refusal
	cut     bool
	stalled bool
	stored  bool
}

// The faults. The zero Fault is none.
var (
	// CutBefore: the host is gone, and nothing was stored.
	CutBefore = Fault{cut: true}
	// CutAfter: it was stored, but the host was gone before it could say so.
	CutAfter = Fault{cut: true, stored: true}
	// Stall: the host does not answer. The connector waits until the context of
	// Run ends, and has to return then.
	Stall = Fault{stalled: true}
)

// Refuse makes the host refuse.
func Refuse(reason connectorv1.RefusalReason) Fault {
	return Fault{refusal: &connectorv1.Refusal{Reason: reason, Message: "refused by the test"}}
}

// RefuseAfter makes the host refuse what it has stored all the same: the answer
// of its storage was lost.
func RefuseAfter(reason connectorv1.RefusalReason) Fault {
	f := Refuse(reason)
	f.stored = true
	return f
}

// Stored is a payload that the host keeps.
type Stored struct {
	FileName string
	Data     []byte
}

// Export is one export with what a host remembers of it from attempt to
// attempt. Change its fields between runs only.
type Export struct {
	// ID, CreatedAt, FormatVersion and Order are handed to the connector.
	ID            string
	CreatedAt     time.Time
	FormatVersion string
	Order         *connectorv1.DraftOrder
	// Config is the connection's config.
	Config string
	// Attempt is the number of the last attempt.
	Attempt uint32

	// Checkpoint is the last durable one; nil: none.
	Checkpoint []byte
	// ExternalRef came with it.
	ExternalRef string
	// Payload is the last durable one; nil: none.
	Payload *Stored
	// Progress lists what the last attempt reported.
	Progress []string

	// OnPayload and OnCheckpoint, if set, choose a fault for the nth payload
	// or checkpoint of an attempt, counting from 1.
	OnPayload, OnCheckpoint func(n int) Fault

	host *Host
}

// NewExport prepares an export. Each one has the same id; change it for a
// second one at the same target.
func (h *Host) NewExport(config string, order *connectorv1.DraftOrder) *Export {
	return &Export{
		ID:            "0b54b0a5-9f0e-4c0f-8a53-6d2a7f1f9b11",
		CreatedAt:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		FormatVersion: h.Describe().GetExportFormatVersions()[0],
		Order:         order,
		Config:        config,
		host:          h,
	}
}

// Run makes the next attempt. The error is a gRPC status: the host then does
// not know how the attempt ended. Run returns once the connector has.
func (e *Export) Run(ctx context.Context) (*connectorv1.ExportResult, error) {
	e.host.t.Helper()
	ctx, cut := context.WithCancel(ctx)
	ctx, call := e.host.numbered(ctx)
	defer e.host.settle(call)
	defer cut()
	e.Attempt++
	e.Progress = nil
	stream, err := e.host.client.Export(ctx)
	if err != nil {
		return nil, err
	}
	a := &attempt{export: e, stream: stream, cut: cut}
	if err := stream.Send(&connectorv1.ExportRequest{
		Message: &connectorv1.ExportRequest_Start{Start: e.start()},
	}); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return a.converse()
}

func (e *Export) start() *connectorv1.ExportStart {
	start := &connectorv1.ExportStart{
		ExportId:            e.ID,
		Attempt:             e.Attempt,
		CreatedAt:           timestamppb.New(e.CreatedAt),
		ExportFormatVersion: e.FormatVersion,
		Connection:          connection(e.Config),
		DraftOrder:          e.Order,
	}
	if e.Checkpoint != nil || e.Payload != nil {
		start.Resume = &connectorv1.Resume{Checkpoint: e.Checkpoint}
	}
	if e.Payload != nil {
		start.Resume.Payload = e.Payload.answer()
	}
	return start
}

func (s *Stored) answer() *connectorv1.PayloadStored {
	sum := sha256.Sum256(s.Data)
	return &connectorv1.PayloadStored{
		StorageKey: StorageKey(s.FileName), Size: uint64(len(s.Data)), Sha256: sum[:],
	}
}

// StorageKey is where the host keeps a payload of that name.
func StorageKey(fileName string) string { return "exports/" + OrgSlug + "/" + fileName }

// attempt is the host's side of one conversation.
type attempt struct {
	export *Export
	stream interface {
		Send(*connectorv1.ExportRequest) error
		Recv() (*connectorv1.ExportResponse, error)
	}
	cut func()

	incoming              *Stored // a payload whose last chunk is to come
	payloads, checkpoints int
	result                *connectorv1.ExportResult
}

func (a *attempt) converse() (*connectorv1.ExportResult, error) {
	t := a.export.host.t
	t.Helper()
	for {
		message, err := a.stream.Recv()
		if errors.Is(err, io.EOF) {
			if a.result == nil {
				t.Error("export: the connector ended without a result")
			}
			return a.result, nil
		}
		if err != nil {
			return nil, err
		}
		if a.result != nil {
			t.Errorf("export: %T after the result", message.GetMessage())
		}
		a.handle(message)
	}
}

func (a *attempt) handle(message *connectorv1.ExportResponse) {
	t := a.export.host.t
	t.Helper()
	switch m := message.GetMessage().(type) {
	case *connectorv1.ExportResponse_StorePayload:
		a.chunk(m.StorePayload)
	case *connectorv1.ExportResponse_SaveCheckpoint:
		a.checkpoint(m.SaveCheckpoint)
	case *connectorv1.ExportResponse_Progress:
		a.export.Progress = append(a.export.Progress, m.Progress.GetMessage())
	case *connectorv1.ExportResponse_Result:
		a.result = m.Result
		if m.Result.GetExportId() != a.export.ID {
			t.Errorf("export: the result is about %q, want %q", m.Result.GetExportId(), a.export.ID)
		}
		if m.Result.GetSuccess() != (m.Result.GetError() == nil) {
			t.Errorf("export: success is %v, but the error is %v", m.Result.GetSuccess(), m.Result.GetError())
		}
	default:
		t.Errorf("export: unknown message %T", m)
	}
}

var fileNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`)

func (a *attempt) chunk(m *connectorv1.StorePayload) {
	t := a.export.host.t
	t.Helper()
	if len(m.GetData()) > port.MaxChunk {
		t.Errorf("store payload: a chunk of %d bytes", len(m.GetData()))
	}
	if a.incoming == nil {
		a.incoming = &Stored{FileName: m.GetFileName(), Data: []byte{}}
		if !fileNamePattern.MatchString(m.GetFileName()) {
			t.Errorf("store payload: bad file name %q", m.GetFileName())
		}
	} else if m.GetFileName() != "" {
		t.Error("store payload: a file name after the first chunk")
	}
	a.incoming.Data = append(a.incoming.Data, m.GetData()...)
	if !m.GetLast() {
		return
	}
	payload := a.incoming
	a.incoming = nil
	a.payloads++
	a.answer(fault(a.export.OnPayload, a.payloads),
		func() { a.export.Payload = payload },
		&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_PayloadStored{PayloadStored: payload.answer()}})
}

func (a *attempt) checkpoint(m *connectorv1.SaveCheckpoint) {
	t := a.export.host.t
	t.Helper()
	if len(m.GetData()) > port.MaxCheckpoint {
		t.Errorf("save checkpoint: %d bytes", len(m.GetData()))
	}
	a.checkpoints++
	a.answer(fault(a.export.OnCheckpoint, a.checkpoints),
		func() {
			a.export.Checkpoint = append([]byte{}, bytes.Clone(m.GetData())...)
			a.export.ExternalRef = m.GetExternalRef()
		},
		&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{
			CheckpointSaved: &connectorv1.CheckpointSaved{},
		}})
}

func fault(choose func(int) Fault, n int) Fault {
	if choose == nil {
		return Fault{}
	}
	return choose(n)
}

func (a *attempt) answer(f Fault, store func(), done *connectorv1.ExportRequest) {
	switch {
	case f.refusal != nil:
		if f.stored {
			store()
		}
		done = &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Refused{Refused: f.refusal}}
	case f.cut:
		if f.stored {
			store()
		}
		a.cut()
		return
	case f.stalled:
		return
	default:
		store()
	}
	// A connector that has gone shows in the next Recv.
	_ = a.stream.Send(done)
}
