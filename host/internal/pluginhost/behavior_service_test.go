package pluginhost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// hostile is the service of a test connector. What an export does is in the
// order's notes, see Export.
type hostile struct {
	connectorv1.UnimplementedConnectorServiceServer
	plan behavior
}

type exportStream = connectorv1.ConnectorService_ExportServer

func result(start *connectorv1.ExportStart) *connectorv1.ExportResult {
	return &connectorv1.ExportResult{Success: true, ExportId: start.GetExportId()}
}

func sendResult(s exportStream, r *connectorv1.ExportResult) error {
	return s.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{Result: r}})
}

func sendChunk(s exportStream, c *connectorv1.StorePayload) error {
	return s.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_StorePayload{StorePayload: c}})
}

func sendCheckpoint(s exportStream, size int) error {
	return s.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_SaveCheckpoint{
		SaveCheckpoint: &connectorv1.SaveCheckpoint{Data: make([]byte, size), ExternalRef: "ref"},
	}})
}

func failure(start *connectorv1.ExportStart, message string) *connectorv1.ExportResult {
	return &connectorv1.ExportResult{
		ExportId: start.GetExportId(),
		Error:    &connectorv1.Error{Code: connectorv1.ErrorCode_ERROR_CODE_INTERNAL, Message: message},
	}
}

func (c *hostile) Export(s exportStream) error {
	req, err := s.Recv()
	if err != nil {
		return err
	}
	start := req.GetStart()
	word, argument, _ := strings.Cut(start.GetDraftOrder().GetNotes(), " ")
	act, ok := acts[word]
	if !ok {
		return status.Errorf(codes.InvalidArgument, "no such act: %q", word)
	}
	return act(c, s, start, argument)
}

type act func(c *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error

var acts = map[string]act{
	"": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		return sendResult(s, result(start))
	},
	"deliver":   deliver,
	"payload":   storeOf,
	"chunk":     oneChunk,
	"endless":   endlessPayload,
	"rename":    renamedPayload,
	"name":      storeNamed,
	"cp":        checkpointOf,
	"cp-middle": checkpointInPayload,
	"raise":     raise,
	"say":       say,
	"wait":      waitForFile,
	"slow-end": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		sendResult(s, result(start))
		<-s.Context().Done()
		return nil
	},
	"die-after": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		sendResult(s, result(start))
		pause(100 * time.Millisecond)
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
	"two": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		sendResult(s, result(start))
		return sendResult(s, result(start))
	},
	"progress-after": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		sendResult(s, result(start))
		return s.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Progress{Progress: &connectorv1.Progress{}}})
	},
	"none": func(*hostile, exportStream, *connectorv1.ExportStart, string) error { return nil },
	"both": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		r := failure(start, "x")
		r.Success = true
		return sendResult(s, r)
	},
	"neither": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		return sendResult(s, &connectorv1.ExportResult{ExportId: start.GetExportId()})
	},
	"other-id": func(_ *hostile, s exportStream, _ *connectorv1.ExportStart, _ string) error {
		return sendResult(s, &connectorv1.ExportResult{ExportId: "other", Success: true})
	},
	"unknown": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		s.Send(&connectorv1.ExportResponse{})
		return sendResult(s, result(start))
	},
	"status": func(_ *hostile, _ exportStream, _ *connectorv1.ExportStart, argument string) error {
		return status.Error(codes.Internal, "broken: "+argument)
	},
	"method": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		r := result(start)
		r.ExternalRef, _ = grpc.Method(s.Context())
		return sendResult(s, r)
	},
	"many": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		r := result(start)
		r.Metadata = map[string]string{}
		for i := range 500 {
			r.Metadata[fmt.Sprint(i)] = strings.Repeat("v", 10_000)
		}
		return sendResult(s, r)
	},
	"huge": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		r := failure(start, strings.Repeat("m", port.MaxMessage+1))
		return sendResult(s, r)
	},
	"size": func(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
		r := result(start)
		r.ErpOrderId = fmt.Sprint(len(start.GetDraftOrder().GetLines()[0].GetDescription()))
		return sendResult(s, r)
	},
}

// deliver does what an ordinary export does: payload, checkpoint, result.
func deliver(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
	data := bytes.Repeat([]byte("order "), 200)
	if err := sendChunk(s, &connectorv1.StorePayload{FileName: "order.json", Data: data, Last: true}); err != nil {
		return err
	}
	stored, err := s.Recv()
	if err != nil {
		return err
	}
	if err := sendCheckpoint(s, 64); err != nil {
		return err
	}
	if _, err := s.Recv(); err != nil {
		return err
	}
	r := result(start)
	r.StorageKey, r.ExternalRef = stored.GetPayloadStored().GetStorageKey(), "order.json"
	return sendResult(s, r)
}

// end answers a store request's reply: a refusal becomes the result.
func end(s exportStream, start *connectorv1.ExportStart) error {
	msg, err := s.Recv()
	if err != nil {
		return err
	}
	if r := msg.GetRefused(); r != nil {
		return sendResult(s, failure(start, r.GetReason().String()+": "+r.GetMessage()))
	}
	return sendResult(s, result(start))
}

// storeOf stores a payload of so many bytes in chunks of MaxChunk.
func storeOf(_ *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error {
	var size int
	fmt.Sscan(argument, &size)
	name := "p.bin"
	for {
		n := min(size, port.MaxChunk)
		size -= n
		if err := sendChunk(s, &connectorv1.StorePayload{FileName: name, Data: bytes.Repeat([]byte{'p'}, n), Last: size == 0}); err != nil {
			return err
		}
		if name = ""; size == 0 {
			return end(s, start)
		}
	}
}

func oneChunk(_ *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error {
	var size int
	fmt.Sscan(argument, &size)
	if err := sendChunk(s, &connectorv1.StorePayload{FileName: "c.bin", Data: make([]byte, size), Last: true}); err != nil {
		return err
	}
	return end(s, start)
}

func endlessPayload(_ *hostile, s exportStream, _ *connectorv1.ExportStart, _ string) error {
	chunk := make([]byte, port.MaxChunk)
	for {
		if err := sendChunk(s, &connectorv1.StorePayload{FileName: "e.bin", Data: chunk}); err != nil {
			return err
		}
	}
}

func renamedPayload(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
	sendChunk(s, &connectorv1.StorePayload{FileName: "a", Data: []byte("1")})
	sendChunk(s, &connectorv1.StorePayload{FileName: "b", Data: []byte("2"), Last: true})
	return end(s, start)
}

func storeNamed(_ *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error {
	if err := sendChunk(s, &connectorv1.StorePayload{FileName: argument, Data: []byte("x"), Last: true}); err != nil {
		return err
	}
	return end(s, start)
}

func checkpointOf(_ *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error {
	var size int
	fmt.Sscan(argument, &size)
	if err := sendCheckpoint(s, size); err != nil {
		return err
	}
	if strings.HasSuffix(argument, "stubborn") { // goes on whatever the host says
		if _, err := s.Recv(); err != nil {
			return err
		}
		return sendResult(s, result(start))
	}
	return end(s, start)
}

func checkpointInPayload(_ *hostile, s exportStream, start *connectorv1.ExportStart, _ string) error {
	sendChunk(s, &connectorv1.StorePayload{FileName: "a", Data: []byte("1")})
	sendCheckpoint(s, 1)
	return end(s, start)
}

// raise sends the process itself a signal, or makes it panic or exit.
func raise(_ *hostile, _ exportStream, _ *connectorv1.ExportStart, argument string) error {
	switch argument {
	case "panic":
		panic("order 4711 is too much for me")
	case "exit":
		fmt.Fprintln(os.NewFile(2, "stderr"), `{"@level":"error","@message":"disk is gone"}`)
		exit(7)
	case "stop":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "kill":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	select {}
}

// say spreads the config's password over everything a connector can write to.
func say(_ *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error {
	var config struct{ Password string }
	json.Unmarshal(start.GetConnection().GetConfig(), &config)
	secret := config.Password
	stderr := os.NewFile(2, "stderr")
	line, _ := json.Marshal(map[string]any{
		"@level": "warn", "@message": "login with " + secret, secret: "k",
		"value": secret, "nested": map[string]any{"deep": []string{secret}}, "connector": "spoofed", "level": "spoofed",
	})
	fmt.Fprintf(stderr, "plain %s\n%s\n", secret, line)
	fmt.Fprintf(os.Stdout, "late stdout %s\n", secret)
	fmt.Fprintf(os.Stderr, "late stderr %s\n", secret)
	s.Send(&connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Progress{Progress: &connectorv1.Progress{Message: "using " + secret}}})
	switch argument {
	case "status":
		return status.Error(codes.Internal, "with "+secret)
	case "crash":
		pause(50 * time.Millisecond)
		panic("with " + secret)
	}
	r := failure(start, "login failed with "+secret)
	r.Error.Details = map[string]string{"tried": secret}
	r.Metadata = map[string]string{"used": secret}
	return sendResult(s, r)
}

// waitForFile ends when the test creates a file.
func waitForFile(c *hostile, s exportStream, start *connectorv1.ExportStart, argument string) error {
	os.WriteFile(argument+".entered", nil, 0o600)
	for s.Context().Err() == nil {
		if _, err := os.Stat(argument); err == nil {
			r := result(start)
			r.ErpOrderId = c.plan.Version
			return sendResult(s, r)
		}
		pause(5 * time.Millisecond)
	}
	return s.Context().Err()
}

func (c *hostile) TestConnection(_ context.Context, req *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	var config struct{ Say string }
	json.Unmarshal(req.GetConnection().GetConfig(), &config)
	if config.Say == "pid" {
		return &connectorv1.TestConnectionResponse{Success: true, LatencyMs: uint64(os.Getpid())}, nil
	}
	return &connectorv1.TestConnectionResponse{Success: true}, nil
}

// failingFetch is the limit at which the hostile connector can't fetch acks.
const failingFetch = 404

func (c *hostile) FetchAcks(req *connectorv1.FetchAcksRequest, s connectorv1.ConnectorService_FetchAcksServer) error {
	if req.GetLimit() == failingFetch {
		return port.StatusError(&connectorv1.Error{
			Code: connectorv1.ErrorCode_ERROR_CODE_THROTTLED, Message: "too many logins", Retryable: true,
			RetryAfter: durationpb.New(time.Minute),
		})
	}
	for i := range 3 {
		if err := s.Send(&connectorv1.FetchAcksResponse{Handle: fmt.Sprint("ack-", i)}); err != nil {
			return err
		}
	}
	return nil
}

func (c *hostile) SettleAcks(_ context.Context, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	res := &connectorv1.SettleAcksResponse{}
	for _, s := range req.GetSettlements() {
		if s.GetHandle() != "skip" {
			res.Results = append(res.Results, &connectorv1.SettleResult{Handle: s.GetHandle()})
		}
	}
	return res, nil
}
