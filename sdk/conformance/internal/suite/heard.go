package suite

import (
	"bytes"
	"context"
	"sync"

	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Heard keeps every message, status and detail that a connector has answered.
// It implements stats.Handler.
type Heard struct {
	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

var _ stats.Handler = (*Heard)(nil)

// Bytes returns a copy of everything.
func (h *Heard) Bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.all.Bytes())
}

func (h *Heard) keep(data []byte) {
	const most = 256 << 20
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all.Len()+len(data) < most {
		h.all.Write(data)
		h.all.WriteByte('\n')
	}
}

// HandleRPC implements stats.Handler.
func (h *Heard) HandleRPC(_ context.Context, event stats.RPCStats) {
	switch e := event.(type) {
	case *stats.InPayload:
		if message, ok := e.Payload.(proto.Message); ok {
			if data, err := proto.Marshal(message); err == nil {
				h.keep(data)
			}
		}
	case *stats.InTrailer:
		for name, values := range e.Trailer {
			for _, value := range values {
				h.keep([]byte(name + ": " + value))
			}
		}
	case *stats.End:
		if e.Error != nil {
			if data, err := proto.Marshal(status.Convert(e.Error).Proto()); err == nil {
				h.keep(data)
			}
		}
	}
}

// TagRPC implements stats.Handler.
func (h *Heard) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// TagConn implements stats.Handler.
func (h *Heard) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (h *Heard) HandleConn(context.Context, stats.ConnStats) {}
