package pluginhost

import (
	"errors"
	"fmt"

	"github.com/orderport/orderport/host/internal/connector"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	sdkport "github.com/orderport/orderport/sdk/port"
)

// payload puts the chunks of one payload together. What is wrong with it is
// answered after its last chunk, since the connector does not listen before;
// until then nothing more is kept.
type payload struct {
	open    bool // the last chunk is still to come
	name    string
	data    []byte
	total   int
	refusal *connectorv1.Refusal
}

// add takes the next chunk. An error means that the connector does not follow
// the protocol at all.
func (p *payload) add(chunk *connectorv1.StorePayload) error {
	if !p.open {
		p.open, p.name = true, chunk.GetFileName()
		if !connector.IsPayloadName(p.name) {
			p.refuse(connectorv1.RefusalReason_REFUSAL_REASON_INVALID,
				"the payload's name is not 1 to 200 letters, digits, '.', '_' and '-' without '.' in front: %q", clip(p.name))
		}
	} else if chunk.GetFileName() != "" && chunk.GetFileName() != p.name {
		return errors.New("the name of a payload changed between its chunks")
	}
	size := len(chunk.GetData())
	if size > sdkport.MaxChunk {
		p.refuse(connectorv1.RefusalReason_REFUSAL_REASON_INVALID,
			"a chunk of the payload has %d bytes, at most %d are allowed", size, sdkport.MaxChunk)
	}
	if p.total += size; p.total > sdkport.MaxMessage {
		p.refuse(connectorv1.RefusalReason_REFUSAL_REASON_TOO_LARGE,
			"the payload is larger than %d bytes", sdkport.MaxMessage)
	}
	if p.total > 4*sdkport.MaxMessage {
		return errors.New("a payload without an end")
	}
	switch {
	case p.refusal != nil:
		p.data = nil
	case chunk.GetLast() && p.data == nil:
		p.data = chunk.GetData() // the usual case: one chunk, not copied
	default:
		p.data = append(p.data, chunk.GetData()...)
	}
	return nil
}

// refuse keeps the first thing that is wrong.
func (p *payload) refuse(reason connectorv1.RefusalReason, format string, args ...any) {
	if p.refusal == nil {
		p.refusal = &connectorv1.Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
}

// take returns the whole payload, or why it is refused, and is ready for the
// next one.
func (p *payload) take() (name string, data []byte, refusal *connectorv1.Refusal) {
	name, data, refusal = p.name, p.data, p.refusal
	*p = payload{}
	return name, data, refusal
}
