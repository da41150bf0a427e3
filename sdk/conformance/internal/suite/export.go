package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

// Export is one export with what a host remembers of it from attempt to
// attempt. Change its fields between attempts only.
type Export struct {
	ID            string
	CreatedAt     time.Time
	FormatVersion string
	Order         *connectorv1.DraftOrder
	Connection    *connectorv1.Connection
	// Attempt is the number of the last attempt.
	Attempt uint32

	// Checkpoint is the last durable one; nil: none. ExternalRef came with it.
	Checkpoint  []byte
	ExternalRef string
	// Payload is the last durable one; nil: none.
	Payload *Payload

	// OnMessage, if set, decides what the host does about a message: the nth
	// payload (its last chunk), checkpoint or progress of the attempt. It may
	// kill the connector, or wait.
	OnMessage func(kind Kind, n int) Answer
	// Surplus, if set, is a message of unknown fields that is sent after the start
	// and before each answer.
	Surplus []byte
	// Offered is the checkpoint that OnMessage is asked about.
	Offered *connectorv1.SaveCheckpoint

	number string // the ERP's, as the connector said
	t      *T
}

// Payload is a payload that the host keeps.
type Payload struct {
	FileName string
	Data     []byte
}

// Kind is what a connector sends in an Export.
type Kind int

// The kinds.
const (
	PayloadMessage Kind = iota + 1
	CheckpointMessage
	ProgressMessage
)

// Answer is what the host does about a payload or checkpoint.
type Answer struct {
	// Lose: it is not stored. Otherwise it is.
	Lose bool
	// Refuse answers with a refusal; with UNSPECIFIED it does not.
	Refuse connectorv1.RefusalReason
	// Cut cancels the call instead of an answer.
	Cut bool
	// Silent gives no answer, and goes on listening.
	Silent bool
	// Then, if set, is called when that is done.
	Then func()
}

// The usual answers besides the zero one, which stores and confirms.
var (
	// CutBefore: the host dies and has stored nothing.
	CutBefore = Answer{Lose: true, Cut: true}
	// CutAfter: the host dies and has stored it.
	CutAfter = Answer{Cut: true}
	// Superseded: another attempt has taken over.
	Superseded = Answer{Lose: true, Refuse: connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED}
)

// Attempt is what became of one run of an export.
type Attempt struct {
	// Result is the last message; nil: there was none.
	Result *connectorv1.ExportResult
	// Err is the gRPC status that ended the call; nil: it ended well.
	Err error
	// Payloads, Checkpoints and Progress are what was sent.
	Payloads    []Payload
	Checkpoints []*connectorv1.SaveCheckpoint
	Progress    []string
	// Raw are all messages as they came.
	Raw []*connectorv1.ExportResponse
	// Took is how long the call was.
	Took time.Duration
}

// NewExport prepares an export of a new order over the check's connection.
func (t *T) NewExport() *Export {
	return t.NewExportOf(SampleOrder(), t.Connection())
}

// NewExportOf prepares an export with an id of its own.
func (t *T) NewExportOf(order *connectorv1.DraftOrder, connection *connectorv1.Connection) *Export {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exports++
	format := "orderflow_export_json_v1"
	if offered := t.Description.GetExportFormatVersions(); len(offered) > 0 {
		format = offered[0]
	}
	return &Export{
		ID: NewID(), CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(t.exports) * time.Second),
		FormatVersion: format, Order: order, Connection: connection, t: t,
	}
}

// NewID returns a random UUID.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Takeover returns the same export as another host knows it that takes it over
// now: with the checkpoint that was just offered, if there is one.
func (e *Export) Takeover() *Export {
	clone := *e
	clone.Order = proto.CloneOf(e.Order)
	clone.OnMessage = nil
	if e.Offered != nil {
		clone.Checkpoint = append([]byte{}, e.Offered.GetData()...)
	}
	return &clone
}

// Count returns how often an order of this export is among what the ERP has:
// by its content where that can be seen, otherwise all of them but those that
// the check's other exports have named as theirs.
func (e *Export) Count(orders []target.Artefact) int {
	e.t.mu.Lock()
	defer e.t.mu.Unlock()
	n := 0
	for _, order := range orders {
		switch {
		case order.Data == nil && e.t.claimed[order.Name] && order.Name != e.number:
		case e.Payload == nil, order.Data == nil, bytes.Equal(order.Data, e.Payload.Data):
			n++
		}
	}
	return n
}

// Deliver runs an attempt that must succeed. One that ended with TIMEOUT is
// followed by others, as a host does it: a machine that is busy with other work
// makes every target slow.
func (e *Export) Deliver(c *Connector) *Attempt {
	a := e.within(c)
	for try := 1; try < 3 && a.Err == nil && port.CodeOf(a.Result.GetError().GetCode()) == port.Timeout; try++ {
		e.t.Notef("the target was too slow: %s", a.Result.GetError().GetMessage())
		a = e.within(c)
	}
	if a.Err != nil {
		e.t.Fatalf("export: gRPC status instead of a result: %v", a.Err)
	}
	if !a.Result.GetSuccess() {
		e.t.Fatalf("export: failed with %s: %s", port.CodeOf(a.Result.GetError().GetCode()), a.Result.GetError().GetMessage())
	}
	return a
}

// within runs an attempt with the time of a call to a target that works.
func (e *Export) within(c *Connector) *Attempt {
	ctx, cancel := e.t.Call()
	defer cancel()
	return e.Run(ctx, c)
}

// Run makes the next attempt and returns once the call has ended. Breaches of
// the conversation's rules fail the check.
func (e *Export) Run(ctx context.Context, c *Connector) *Attempt {
	started := time.Now()
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	e.Attempt++
	a := &Attempt{}
	conversation := &conversation{export: e, attempt: a, cut: cut}
	stream, err := c.Port.Export(ctx)
	if err == nil {
		conversation.stream = stream
		err = conversation.run()
	}
	a.Err, a.Took = err, time.Since(started)
	e.claim(a)
	return a
}

// claim notes the number that the connector says the ERP has given.
func (e *Export) claim(a *Attempt) {
	if a.Err == nil && a.Result.GetSuccess() && a.Result.GetErpOrderId() != "" {
		e.t.mu.Lock()
		defer e.t.mu.Unlock()
		e.number = a.Result.GetErpOrderId()
		if e.t.claimed == nil {
			e.t.claimed = map[string]bool{}
		}
		e.t.claimed[e.number] = true
	}
}

// Start returns the first message of the next attempt.
func (e *Export) Start() *connectorv1.ExportStart {
	start := &connectorv1.ExportStart{
		ExportId: e.ID, Attempt: e.Attempt, CreatedAt: timestamppb.New(e.CreatedAt),
		ExportFormatVersion: e.FormatVersion, Connection: e.Connection, DraftOrder: e.Order,
	}
	if e.Checkpoint != nil || e.Payload != nil {
		start.Resume = &connectorv1.Resume{Checkpoint: e.Checkpoint}
	}
	if e.Payload != nil {
		start.Resume.Payload = e.Payload.stored()
	}
	return start
}

func (p *Payload) stored() *connectorv1.PayloadStored {
	sum := sha256.Sum256(p.Data)
	return &connectorv1.PayloadStored{
		StorageKey: "exports/acme/" + p.FileName, Size: uint64(len(p.Data)), Sha256: sum[:],
	}
}

// conversation is the host's side of one attempt.
type conversation struct {
	export  *Export
	attempt *Attempt
	stream  connectorv1.ConnectorService_ExportClient
	cut     func()

	incoming   *Payload // whose last chunk is to come
	progresses int
}

func (c *conversation) run() error {
	if err := c.stream.Send(&connectorv1.ExportRequest{
		Message: &connectorv1.ExportRequest_Start{Start: c.export.Start()},
	}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.surplus()
	for {
		message, err := c.stream.Recv()
		if errors.Is(err, io.EOF) {
			if c.attempt.Result == nil {
				c.breach("EXP-02", "the connector closed the stream without a result")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if c.attempt.Result != nil {
			c.breach("EXP-02", "the connector sent %T after the result", message.GetMessage())
		}
		c.attempt.Raw = append(c.attempt.Raw, message)
		c.handle(message)
	}
}

func (c *conversation) surplus() {
	if c.export.Surplus != nil {
		message := &connectorv1.ExportRequest{}
		message.ProtoReflect().SetUnknown(c.export.Surplus)
		_ = c.stream.Send(message)
	}
}

func (c *conversation) breach(clause, format string, args ...any) {
	c.export.t.Errorf("%s: export: %s", clause, fmt.Sprintf(format, args...))
}

func (c *conversation) handle(message *connectorv1.ExportResponse) {
	switch m := message.GetMessage().(type) {
	case *connectorv1.ExportResponse_StorePayload:
		c.chunk(m.StorePayload)
	case *connectorv1.ExportResponse_SaveCheckpoint:
		c.checkpoint(m.SaveCheckpoint)
	case *connectorv1.ExportResponse_Progress:
		c.attempt.Progress = append(c.attempt.Progress, m.Progress.GetMessage())
		c.progresses++
		if c.ask(ProgressMessage, c.progresses).Cut {
			c.cut()
		}
	case *connectorv1.ExportResponse_Result:
		c.result(m.Result)
	default: // a newer connector's; ignored and not answered (FWD-03)
	}
}

func (c *conversation) result(r *connectorv1.ExportResult) {
	c.attempt.Result = r
	if r.GetExportId() != c.export.ID {
		c.breach("EXP-05", "the result is about %q, want %q", r.GetExportId(), c.export.ID)
	}
	if r.GetSuccess() != (r.GetError() == nil) {
		c.breach("EXP-05", "success is %v, but the error is %v", r.GetSuccess(), r.GetError())
	}
	if r.GetError() != nil {
		CheckError(c.export.t, r.GetError())
	}
}

// CheckError fails unless an error is what section 7 of the contract wants.
func CheckError(t *T, e *connectorv1.Error) {
	if e.GetMessage() == "" {
		t.Errorf("ERR-01: the error %s has no message", e.GetCode())
	}
	switch e.GetCode() {
	case connectorv1.ErrorCode_ERROR_CODE_UNSPECIFIED:
		t.Errorf("ERR-01: an error without a code: %q", e.GetMessage())
	case connectorv1.ErrorCode_ERROR_CODE_CONNECTOR_CRASHED, connectorv1.ErrorCode_ERROR_CODE_CONNECTOR_UNAVAILABLE:
		t.Errorf("ERR-03: the error code %s is the host's", e.GetCode())
	default:
		if _, known := connectorv1.ErrorCode_name[int32(e.GetCode())]; !known {
			t.Errorf("ERR-01: the error code %d is not in the list", e.GetCode())
		}
	}
}

var fileNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$`)

func (c *conversation) chunk(m *connectorv1.StorePayload) {
	if len(m.GetData()) > port.MaxChunk {
		c.breach("PAY-01", "a chunk of %d bytes", len(m.GetData()))
	}
	if c.incoming == nil {
		c.incoming = &Payload{FileName: m.GetFileName(), Data: []byte{}}
		if !fileNamePattern.MatchString(m.GetFileName()) {
			c.breach("PAY-02", "the payload's file name %q is not allowed", m.GetFileName())
		}
	}
	c.incoming.Data = append(c.incoming.Data, m.GetData()...)
	if !m.GetLast() {
		return
	}
	payload := c.incoming
	c.incoming = nil
	c.attempt.Payloads = append(c.attempt.Payloads, *payload)
	c.answer(c.ask(PayloadMessage, len(c.attempt.Payloads)),
		func() { c.export.Payload = payload },
		&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_PayloadStored{PayloadStored: payload.stored()}})
}

func (c *conversation) checkpoint(m *connectorv1.SaveCheckpoint) {
	if len(m.GetData()) > port.MaxCheckpoint {
		c.breach("CHK-01", "a checkpoint of %d bytes", len(m.GetData()))
	}
	c.attempt.Checkpoints = append(c.attempt.Checkpoints, m)
	c.export.Offered = m
	c.answer(c.ask(CheckpointMessage, len(c.attempt.Checkpoints)),
		func() {
			c.export.Checkpoint = append([]byte{}, bytes.Clone(m.GetData())...)
			c.export.ExternalRef = m.GetExternalRef()
		},
		&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{
			CheckpointSaved: &connectorv1.CheckpointSaved{},
		}})
}

func (c *conversation) ask(kind Kind, n int) Answer {
	if c.export.OnMessage == nil {
		return Answer{}
	}
	return c.export.OnMessage(kind, n)
}

func (c *conversation) answer(a Answer, store func(), done *connectorv1.ExportRequest) {
	if a.Then != nil {
		defer a.Then()
	}
	if !a.Lose {
		store()
	}
	switch {
	case a.Cut:
		c.cut()
		return
	case a.Silent:
		return
	case a.Refuse != connectorv1.RefusalReason_REFUSAL_REASON_UNSPECIFIED:
		done = &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Refused{
			Refused: &connectorv1.Refusal{Reason: a.Refuse, Message: "refused by the conformance check"},
		}}
	}
	c.surplus()
	// A connector that has gone shows in the next Recv.
	_ = c.stream.Send(done)
}
