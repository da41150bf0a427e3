package recording

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Recorder decides what is recorded. Its methods are called concurrently.
type Recorder interface {
	// Active says whether anything is to be recorded now. It is asked for every
	// call and has to be quick.
	Active() bool
	// Begin decides about a call when its first message is sent. It returns nil
	// for one that is not to be recorded. The connection's config is as the
	// connector gets it.
	Begin(call string, connection *connectorv1.Connection) *Writer
}

// Wrap returns a connection whose calls of the Port are recorded as the
// recorder says.
func Wrap(conn grpc.ClientConnInterface, recorder Recorder) grpc.ClientConnInterface {
	return &wrapped{conn, recorder}
}

type wrapped struct {
	grpc.ClientConnInterface
	recorder Recorder
}

// callOf returns the name of a call of the Port, without its service.
func callOf(method string) (string, bool) {
	return strings.CutPrefix(method, "/"+connectorv1.ConnectorService_ServiceDesc.ServiceName+"/")
}

// Invoke implements grpc.ClientConnInterface.
func (w *wrapped) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	call, ours := callOf(method)
	request, isMessage := args.(proto.Message)
	var writer *Writer
	if ours && isMessage && w.recorder.Active() && connectionOf(request) != nil {
		writer = w.recorder.Begin(call, connectionOf(request))
	}
	if writer == nil {
		return w.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	}
	writer.Message(ToConnector, request)
	err := w.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if response, ok := reply.(proto.Message); ok && err == nil {
		writer.Message(ToHost, response)
	}
	_ = writer.End(err) // the call goes on without its recording
	return err
}

// NewStream implements grpc.ClientConnInterface.
func (w *wrapped) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := w.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	call, ours := callOf(method)
	if err != nil || !ours || !w.recorder.Active() {
		return stream, err
	}
	return &recorded{ClientStream: stream, ctx: ctx, call: call, recorder: w.recorder}, nil
}

// recorded is a stream; it begins a recording with the first message.
type recorded struct {
	grpc.ClientStream
	ctx      context.Context // of the caller
	call     string
	recorder Recorder
	first    sync.Once

	mu     sync.Mutex
	writer *Writer // guarded by mu; nil: not recorded, or ended
}

// start begins the recording. A call that its host gives up ends without
// another look at the stream, so the caller's context ends it, too.
func (s *recorded) start(connection *connectorv1.Connection) {
	writer := s.recorder.Begin(s.call, connection)
	if writer == nil {
		return
	}
	s.mu.Lock()
	s.writer = writer
	s.mu.Unlock()
	context.AfterFunc(s.ctx, func() { s.end(s.ctx.Err()) })
}

// SendMsg implements grpc.ClientStream.
func (s *recorded) SendMsg(m any) error {
	message, ok := m.(proto.Message)
	if ok {
		s.first.Do(func() {
			if connection := connectionOf(message); connection != nil {
				s.start(connection)
			}
		})
		s.message(ToConnector, message)
	}
	return s.ClientStream.SendMsg(m)
}

// RecvMsg implements grpc.ClientStream.
func (s *recorded) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch message, ok := m.(proto.Message); {
	case errors.Is(err, io.EOF):
		s.end(nil)
	case err != nil:
		s.end(err)
	case ok:
		s.message(ToHost, message)
	}
	return err
}

func (s *recorded) message(to Direction, m proto.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != nil {
		s.writer.Message(to, m)
	}
}

func (s *recorded) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer != nil {
		_ = s.writer.End(err)
		s.writer = nil
	}
}
