package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// ErrNotPlayable says that a recording, or the config to play it with, does not
// hold what is needed.
var ErrNotPlayable = errors.New("it can't be replayed")

// Difference is something that came out differently than it was recorded.
type Difference struct {
	What     string `json:"what"`
	Recorded string `json:"recorded"`
	Replayed string `json:"replayed"`
}

// String puts it in one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: recorded %s, replayed %s", d.What, d.Recorded, d.Replayed)
}

// Replay makes the recorded call again and says what came out differently.
// The host's part is played as it was recorded: what was stored is stored, what
// was refused is refused, and where the host was gone it is gone again. Texts
// for people, times and bytes of payloads are not compared.
//
// The recorded config has no secrets. overlay is a JSON object that is laid
// over it, property by property: secrets, and where the target is that the
// connector should talk to instead of the recorded one. It may be empty.
//
// The error says that the call could not be made again, which tells nothing
// about the connector.
func (r *Recording) Replay(ctx context.Context, client connectorv1.ConnectorServiceClient, overlay []byte) ([]Difference, error) {
	request, err := r.request(overlay)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var got played
	switch request := request.(type) {
	case *connectorv1.TestConnectionRequest:
		response, err := client.TestConnection(ctx, request)
		got = played{err: err}.add(response)
	case *connectorv1.SettleAcksRequest:
		response, err := client.SettleAcks(ctx, request)
		got = played{err: err}.add(response)
	case *connectorv1.FetchAcksRequest:
		got = fetch(ctx, client, request)
	case *connectorv1.ExportRequest:
		got = r.export(ctx, cancel, client, request)
	}
	return r.compare(got), nil
}

// request is the recorded first message, with a config that can be used.
func (r *Recording) request(overlay []byte) (proto.Message, error) {
	if len(r.Entries) == 0 || r.Entries[0].To != ToConnector || r.Entries[0].Message == nil {
		return nil, fmt.Errorf("%w: the call's first message is missing", ErrNotPlayable)
	}
	request := proto.Clone(r.Entries[0].Message)
	connection := connectionOf(request)
	if connection == nil {
		return nil, fmt.Errorf("%w: the call's first message names no connection", ErrNotPlayable)
	}
	config := map[string]json.RawMessage{}
	for _, layer := range [][]byte{connection.GetConfig(), overlay} {
		if len(bytes.TrimSpace(layer)) == 0 {
			continue
		}
		if err := json.Unmarshal(layer, &config); err != nil {
			return nil, fmt.Errorf("%w: the config is not a JSON object", ErrNotPlayable) // err may quote it
		}
	}
	var err error
	connection.Config, err = json.Marshal(config)
	return request, err
}

// played is what the connector sent, and how the call ended.
type played struct {
	messages []proto.Message
	err      error
}

func (p played) add(m proto.Message) played {
	if p.err == nil {
		p.messages = append(p.messages, m)
	}
	return p
}

func fetch(ctx context.Context, client connectorv1.ConnectorServiceClient, request *connectorv1.FetchAcksRequest) played {
	var got played
	stream, err := client.FetchAcks(ctx, request)
	for err == nil {
		var ack *connectorv1.FetchAcksResponse
		if ack, err = stream.Recv(); err == nil {
			got.messages = append(got.messages, ack)
		}
	}
	if !errors.Is(err, io.EOF) {
		got.err = err
	}
	return got
}

// export plays the host of one attempt.
func (r *Recording) export(
	ctx context.Context, cut func(), client connectorv1.ConnectorServiceClient, start *connectorv1.ExportRequest,
) played {
	var got played
	stream, err := client.Export(ctx)
	if err == nil {
		err = stream.Send(start)
	}
	answers := r.answers()
	var asm assembler
	for err == nil {
		var message *connectorv1.ExportResponse
		if message, err = stream.Recv(); err != nil {
			break
		}
		whole := asm.take(message)
		if whole == nil {
			continue
		}
		got.messages = append(got.messages, whole)
		if !asks(whole) {
			continue
		}
		answer := Stored(whole) // also to more questions than were recorded
		if len(answers) > 0 {
			if answers[0] == nil {
				cut()
				continue
			}
			if answers[0].GetRefused() != nil {
				answer = answers[0]
			}
			answers = answers[1:]
		}
		err = stream.Send(answer)
	}
	if !errors.Is(err, io.EOF) {
		got.err = err
	}
	return got
}

// asks says whether the connector now waits for an answer.
func asks(m *connectorv1.ExportResponse) bool {
	return m.GetStorePayload().GetLast() || m.GetSaveCheckpoint() != nil
}

// answers lists the host's recorded answers, one for each question; nil: the
// host was gone.
func (r *Recording) answers() []*connectorv1.ExportRequest {
	var all []*connectorv1.ExportRequest
	open := false
	for _, entry := range r.Entries {
		switch m := entry.Message.(type) {
		case *connectorv1.ExportResponse:
			if open {
				all = append(all, nil)
			}
			open = asks(m)
		case *connectorv1.ExportRequest:
			if open {
				all = append(all, m)
			}
			open = false
		}
	}
	if open && r.hostGaveUp() {
		all = append(all, nil)
	}
	return all
}

// hostGaveUp says that it was the host's side that ended the call. Otherwise a
// question without an answer is one that the connector did not live to hear.
func (r *Recording) hostGaveUp() bool {
	return r.End == nil || r.End.text() == gaveUp
}

const gaveUp = "the host gave up"

func (e *End) text() string {
	if e.Status == codes.Canceled.String() || e.Status == codes.DeadlineExceeded.String() {
		return gaveUp
	}
	return "gRPC status " + e.Status
}

// Stored is the answer of a host that has done what it was asked to.
func Stored(question *connectorv1.ExportResponse) *connectorv1.ExportRequest {
	payload := question.GetStorePayload()
	if payload == nil {
		return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{
			CheckpointSaved: &connectorv1.CheckpointSaved{},
		}}
	}
	sum := sha256.Sum256(payload.GetData())
	return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_PayloadStored{
		PayloadStored: &connectorv1.PayloadStored{
			StorageKey: "exports/replayed/" + payload.GetFileName(), Size: uint64(len(payload.GetData())), Sha256: sum[:],
		},
	}}
}

// compare looks at the kinds of messages in their order, at what decides
// something in them, and at the call's end.
func (r *Recording) compare(got played) []Difference {
	var recorded []string
	for _, entry := range r.Entries {
		if entry.To == ToHost && entry.Message != nil {
			recorded = append(recorded, facts(entry.Message)...)
		}
	}
	var replayed []string
	for _, m := range got.messages {
		replayed = append(replayed, facts(m)...)
	}
	end := gaveUp
	if r.End != nil {
		end = r.End.text()
	}
	now := End{Status: status.Code(got.err).String()}
	all := differences(recorded, replayed)
	if end != now.text() {
		all = append(all, Difference{What: "end", Recorded: end, Replayed: now.text()})
	}
	return all
}

// differences leaves out what is the same at both ends.
func differences(recorded, replayed []string) []Difference {
	var all []Difference
	for i := range max(len(recorded), len(replayed)) {
		was, is := "nothing more", "nothing more"
		if i < len(recorded) {
			was = recorded[i]
		}
		if i < len(replayed) {
			is = replayed[i]
		}
		if was != is {
			what := fmt.Sprintf("fact %d", i+1)
			if name, _, ok := strings.Cut(was, " "); ok && strings.HasPrefix(is, name+" ") {
				what = name
			}
			all = append(all, Difference{What: what, Recorded: was, Replayed: is})
		}
	}
	return all
}

// facts is what a message says, one text for each thing that matters.
func facts(m proto.Message) []string {
	switch m := m.(type) {
	case *connectorv1.TestConnectionResponse:
		var all []string
		for _, step := range m.GetSteps() {
			all = append(all, fmt.Sprintf("step %s success=%t", step.GetName(), step.GetSuccess()))
		}
		return append(all, fmt.Sprintf("test success=%t%s", m.GetSuccess(), errorText(m.GetError())))
	case *connectorv1.SettleAcksResponse:
		var all []string
		for _, result := range m.GetResults() {
			all = append(all, fmt.Sprintf("settled %s%s", result.GetHandle(), errorText(result.GetError())))
		}
		return all
	case *connectorv1.FetchAcksResponse:
		return []string{fmt.Sprintf("ack %s %s %s", m.GetHandle(), m.GetExternalRef(), answerText(m))}
	case *connectorv1.ExportResponse:
		return exportFacts(m)
	}
	return nil
}

func exportFacts(m *connectorv1.ExportResponse) []string {
	switch {
	case m.GetStorePayload() != nil:
		return []string{"payload " + m.GetStorePayload().GetFileName()}
	case m.GetSaveCheckpoint() != nil:
		return []string{"checkpoint external_ref=" + m.GetSaveCheckpoint().GetExternalRef()}
	case m.GetResult() != nil:
		r := m.GetResult()
		return []string{fmt.Sprintf("result success=%t recovered=%t external_ref=%s erp_order_id=%s%s",
			r.GetSuccess(), r.GetRecovered(), r.GetExternalRef(), r.GetErpOrderId(), errorText(r.GetError()))}
	}
	return nil // progress is for people
}

func answerText(m *connectorv1.FetchAcksResponse) string {
	switch {
	case m.GetPositive() != nil:
		return "positive " + m.GetPositive().GetErpOrderId()
	case m.GetNegative() != nil:
		return "negative " + m.GetNegative().GetErrorCode()
	default:
		return "malformed"
	}
}

func errorText(e *connectorv1.Error) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf(" error=%s retryable=%t", port.CodeOf(e.GetCode()), e.GetRetryable())
}
