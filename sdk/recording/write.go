package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Bounds of one recording.
const (
	maxPayload = 1 << 20  // bytes of a payload that are kept
	maxBytes   = 16 << 20 // of the file; what comes later is left out
)

// Writer writes one recording. Its methods may be called concurrently. An
// error of the file ends the recording and never the call.
type Writer struct {
	mu      sync.Mutex
	to      io.WriteCloser
	secrets Secrets
	begun   time.Time
	size    int
	full    bool
	err     error
	payload assembler
}

// NewWriter starts a recording. The Writer closes to.
func NewWriter(to io.WriteCloser, header Header, secrets Secrets) *Writer {
	header.Recording = Version
	w := &Writer{to: to, secrets: secrets, begun: time.Now()}
	w.write(header)
	return w
}

// Message adds a message. The chunks of a payload become one.
func (w *Writer) Message(to Direction, m proto.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if response, ok := m.(*connectorv1.ExportResponse); ok {
		whole := w.payload.take(response)
		if whole == nil {
			return
		}
		m = shortened(whole)
	}
	if w.full {
		return
	}
	entry := line{At: w.since(), To: to}
	entry.Message, entry.Omitted = w.secrets.encode(m)
	w.write(entry)
}

// assembler makes one message of a payload's chunks: a secret could lie across
// two of them.
type assembler struct{ open *connectorv1.StorePayload }

// take returns the message, a whole payload with its last chunk, or nil.
func (a *assembler) take(m *connectorv1.ExportResponse) *connectorv1.ExportResponse {
	chunk := m.GetStorePayload()
	if chunk == nil {
		return m
	}
	if a.open == nil {
		a.open = &connectorv1.StorePayload{FileName: chunk.GetFileName()}
	}
	a.open.Data = append(a.open.Data, chunk.GetData()...)
	if !chunk.GetLast() {
		return nil
	}
	whole := a.open
	a.open, whole.Last = nil, true
	return &connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_StorePayload{StorePayload: whole}}
}

// shortened leaves out a payload that is too large to be kept.
func shortened(m *connectorv1.ExportResponse) *connectorv1.ExportResponse {
	if p := m.GetStorePayload(); p != nil && len(p.GetData()) > maxPayload {
		p.Data = fmt.Appendf(nil, "(%d bytes are left out)", len(p.GetData()))
	}
	return m
}

// End adds how the call ended and closes the file. It returns what went wrong
// with the recording.
func (w *Writer) End(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		return w.err
	}
	st := status.Convert(err)
	w.full, w.size = false, 0 // this line always fits
	w.write(line{At: w.since(), End: &End{Status: st.Code().String(), Message: w.secrets.hide(st.Message())}})
	w.err = errors.Join(w.err, w.to.Close())
	w.to = nil
	return w.err
}

func (w *Writer) since() float64 {
	return float64(time.Since(w.begun).Microseconds()) / 1000
}

// write needs mu, but for the first line.
func (w *Writer) write(v any) {
	if w.to == nil || w.err != nil || w.full {
		return
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if w.err = enc.Encode(v); w.err != nil {
		return
	}
	if w.size += out.Len(); w.size > maxBytes {
		w.full = true
		out.Reset()
		_ = json.NewEncoder(&out).Encode(line{At: w.since(), Omitted: "the recording is full"})
	}
	_, w.err = w.to.Write(out.Bytes())
}
