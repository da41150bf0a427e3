package tunnel

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// maxMessage bounds a message of the tunnel, in each direction.
	maxMessage = 16 << 20
	// full is how many bytes may wait to be sent before senders wait, too.
	full = 4 << 20
	// largest is how large one frame may be, so that there is room for those
	// that are forced: a message over the bound would end everybody's calls.
	largest = 10 << 20
	// kept is how large a buffer stays for the next message.
	kept = 256 << 10
	// framesField is the number of the only field of TunnelRequest and of
	// TunnelResponse.
	framesField = 1
)

// errClosed says that the tunnel has ended.
var errClosed = errors.New("the tunnel has ended")

// outbox collects the frames of many calls into one message. Frames are encoded
// as they come, so that their senders may go on and change what they hold.
type outbox struct {
	work chan struct{} // buffered: there is something to send

	mu    sync.Mutex
	bytes []byte        // guarded by mu: the message so far
	over  bool          // guarded by mu: nothing is sent any more
	room  chan struct{} // guarded by mu: closed when there is room again; nil: nobody waits
}

func newOutbox() *outbox { return &outbox{work: make(chan struct{}, 1)} }

// put adds a frame of a call with the context ctx. While too much is waiting it
// waits, until ctx ends.
func (o *outbox) put(ctx context.Context, frame proto.Message) error {
	for {
		room, err := o.offer(ctx, frame)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// offer adds a frame, or returns what to wait for. Once ctx has ended it adds
// nothing: the frame that cancels the call may be there already, and behind it a
// start would run for nobody.
func (o *outbox) offer(ctx context.Context, frame proto.Message) (room <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.over {
		return nil, errClosed
	}
	if len(o.bytes) >= full {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		return o.room, nil
	}
	return nil, o.add(frame)
}

// force adds a frame whatever waits. It is for the small ones that end a call.
func (o *outbox) force(frame proto.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		_ = o.add(frame) // it is small and well-formed
	}
}

// add is called with mu held.
func (o *outbox) add(frame proto.Message) error {
	before := len(o.bytes)
	marshal := proto.MarshalOptions{}
	size := marshal.Size(frame)
	if size > largest {
		return status.Errorf(codes.ResourceExhausted, "a message of %d bytes is too large, at most %d pass", size, largest)
	}
	marshal.UseCachedSize = true
	b := protowire.AppendTag(o.bytes, framesField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size)) //nolint:gosec // a size is not negative
	b, err := marshal.MarshalAppend(b, frame)
	if err != nil {
		o.bytes = o.bytes[:before]
		return status.Error(codes.Internal, err.Error())
	}
	o.bytes = b
	select {
	case o.work <- struct{}{}:
	default:
	}
	return nil
}

// take exchanges what is waiting for an empty buffer.
func (o *outbox) take(empty []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.bytes
	o.bytes = empty[:0]
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	return taken
}

// close has every later put fail with errClosed.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// yields is how often the sender lets others run before it sends what there
// is. Where many calls are under way most of those that are about to say
// something then get into the message, each of which costs both sides system
// calls and a change of goroutines. Four were measured to be better than one and
// than waiting for as long as there is more.
const yields = 4

// run sends until done is closed, and then what is left.
func (o *outbox) run(done <-chan struct{}, send func(message []byte) error) error {
	var spare []byte
	for open := true; open; {
		select {
		case <-o.work:
		case <-done:
			open = false
		}
		for range yields {
			runtime.Gosched()
		}
		message := o.take(spare)
		if len(message) > 0 {
			if err := send(message); err != nil {
				return err
			}
		}
		spare = message
		if cap(spare) > kept {
			spare = nil // it was needed once
		}
	}
	return nil
}
