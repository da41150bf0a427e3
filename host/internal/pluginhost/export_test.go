package pluginhost_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	sdkport "github.com/orderport/orderport/sdk/port"
)

// bothWays runs a test with a connector that serves the tunnel, and with one
// that does not.
func bothWays(t *testing.T, test func(t *testing.T, plan behavior)) {
	t.Parallel()
	for name, plan := range map[string]behavior{"tunnel": {Tunnel: true}, "a stream each": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, plan)
		})
	}
}

func TestExportKeepsToTheContract(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		p := w.port("NOOP")

		for act, reason := range map[string]string{
			"none":           "the stream ended without a result",
			"two":            "a message after the result",
			"progress-after": "a message after the result",
			"both":           "success and an error",
			"neither":        "neither success nor an error",
			"other-id":       `a result for export "other" instead of "7f0c3f4e`,
			"endless":        "a payload without an end",
			"rename":         "the name of a payload changed",
			"cp-middle":      "a checkpoint in the middle of a payload",
			"status reason":  "gRPC status Internal: broken: reason",
			"huge":           "gRPC status ResourceExhausted",
			fmt.Sprintf("cp %d stubborn", sdkport.MaxCheckpoint+1): "a success although the host had refused",
		} {
			t.Run("broken by "+act, func(t *testing.T) {
				t.Parallel()
				r, err := export(p, act, nil)
				var contract *connector.ContractError
				if !errors.As(err, &contract) || contract.Type != "NOOP" || !strings.Contains(contract.Reason, reason) {
					t.Errorf("got %v %v, want %q", r, err, reason)
				}
			})
		}
		for act, reason := range map[string]string{
			fmt.Sprint("payload ", sdkport.MaxMessage+1): "TOO_LARGE: the payload is larger than",
			fmt.Sprint("chunk ", sdkport.MaxChunk+1):     "INVALID: a chunk of the payload has",
			fmt.Sprint("cp ", sdkport.MaxCheckpoint+1):   "TOO_LARGE: the checkpoint has",
			"name ../etc/passwd":                         "INVALID: the payload's name",
			"name .hidden":                               "INVALID: the payload's name",
			"name ":                                      "INVALID: the payload's name",
			"name a b":                                   "INVALID: the payload's name",
			"name " + strings.Repeat("x", 201):           "INVALID: the payload's name",
		} {
			t.Run("refused: "+act[:min(len(act), 20)], func(t *testing.T) {
				t.Parallel()
				sink := &memorySink{}
				r, err := export(p, act, sink)
				if err != nil || r.GetSuccess() || !strings.Contains(r.GetError().GetMessage(), reason) {
					t.Errorf("got %.300v %v, want %q", r, err, reason)
				}
				if len(sink.payloads) > 0 || sink.checkpoint != nil {
					t.Error("something was stored")
				}
			})
		}
		for _, act := range []string{
			"", "deliver", "unknown", "slow-end", "die-after",
			fmt.Sprint("chunk ", sdkport.MaxChunk), fmt.Sprint("cp ", sdkport.MaxCheckpoint), "cp 0", "chunk 0",
			"name " + strings.Repeat("x", 200), "name _-.9",
		} {
			t.Run("fine: "+act[:min(len(act), 20)], func(t *testing.T) {
				if act != "die-after" {
					t.Parallel()
				}
				if r, err := export(p, act, nil); err != nil || !r.GetSuccess() {
					t.Errorf("got %v %v", r, err)
				}
			})
		}
	})
}

func TestPayloadOfManyChunksArrivesWhole(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		for _, size := range []int{0, 1, sdkport.MaxChunk, sdkport.MaxChunk + 1, 4<<20 - 1, 4<<20 + 1, sdkport.MaxMessage} {
			sink := &memorySink{}
			if r, err := export(w.port("NOOP"), fmt.Sprint("payload ", size), sink); err != nil || !r.GetSuccess() {
				t.Fatalf("%d bytes: %v %v", size, r, err)
			}
			if got, ok := sink.payloads["p.bin"]; !ok || len(got) != size || strings.Trim(string(got), "p") != "" {
				t.Errorf("%d bytes arrived as %d", size, len(got))
			}
		}
	})
}

func TestLargeOrdersPassAndTooLargeOnesAreRefusedByTheHost(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		run := func(size int) (*connectorv1.ExportResult, error) {
			start := startOf("size")
			text := strings.Repeat("x", size)
			start.DraftOrder.Lines = []*connectorv1.OrderLine{{Description: &text}}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			return w.port("NOOP").Export(ctx, start, &memorySink{})
		}
		if r, err := run(31 << 20); err != nil || r.GetErpOrderId() != fmt.Sprint(31<<20) {
			t.Errorf("an order of 31 MiB: %v %v", r, err)
		}
		_, err := run(sdkport.MaxMessage + 1)
		var contract *connector.ContractError
		if !errors.As(err, &contract) || !strings.Contains(contract.Reason, "ResourceExhausted") {
			t.Errorf("an order over the bound: %v", err)
		}
	})
}

func TestOrdinaryExportsShareTheTunnelAndLargeOnesDoNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{Tunnel: true})
	w.start()
	for _, c := range []struct {
		size int
		want string
	}{
		{10, connectorv1.ExportTunnelService_Tunnel_FullMethodName},
		{1 << 20, connectorv1.ConnectorService_Export_FullMethodName},
	} {
		start := startOf("method")
		text := strings.Repeat("x", c.size)
		start.DraftOrder.Lines = []*connectorv1.OrderLine{{Description: &text}}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, err := w.port("NOOP").Export(ctx, start, &memorySink{})
		if err != nil || r.GetExternalRef() != c.want {
			t.Errorf("an order of %d bytes went through %s, want %s (%v)", c.size, r.GetExternalRef(), c.want, err)
		}
	}
}

func TestWhatTheHostCanNotStoreIsRefused(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		superseded := &connector.RefusedError{Reason: connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED, Message: "attempt 2 runs"}
		for _, act := range []string{"chunk 10", "cp 10"} {
			r, err := export(w.port("NOOP"), act, &memorySink{err: superseded})
			if err != nil || !strings.Contains(r.GetError().GetMessage(), "SUPERSEDED: attempt 2 runs") {
				t.Errorf("%s: %v %v", act, r, err)
			}
			r, err = export(w.port("NOOP"), act, &memorySink{err: errors.New("database password is wrong")})
			if err != nil || !strings.Contains(r.GetError().GetMessage(), "STORAGE: the host can't store it") {
				t.Errorf("%s: %v %v", act, r, err)
			}
		}
	})
}

func TestDeadlineAndCancelEndACall(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := exportCtx(ctx, w.port("NOOP"), "wait /nowhere/never", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := exportCtx(ctx, w.port("NOOP"), "wait /nowhere/never", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("after the cancel: %v", err)
		}
		if s := w.status("noop"); s.Restarts != 0 || s.InFlight != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestCallsWithoutADeadlineGetOne(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		w.opts.Limits.Call = 100 * time.Millisecond
		install(t, w.dir, "noop", plan)
		w.start()
		if _, err := exportCtx(context.Background(), w.port("NOOP"), "wait /nowhere/never", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestResultsAreCutToWhatCanBeStored(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		r, err := export(w.port("NOOP"), "many", nil)
		if err != nil || len(r.GetMetadata()) != 64 {
			t.Fatalf("%d entries, %v", len(r.GetMetadata()), err)
		}
		for _, v := range r.GetMetadata() {
			if len(v) > 3000 {
				t.Errorf("a value has %d bytes", len(v))
			}
		}
	})
}

func TestAcksAreFetchedAndSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	w.start()
	p := w.port("NOOP")
	var handles []string
	err := p.FetchAcks(t.Context(), &connectorv1.FetchAcksRequest{}, func(a *connectorv1.FetchAcksResponse) error {
		handles = append(handles, a.GetHandle())
		return nil
	})
	if err != nil || strings.Join(handles, " ") != "ack-0 ack-1 ack-2" {
		t.Errorf("%v %v", handles, err)
	}
	mine := errors.New("database is gone")
	err = p.FetchAcks(t.Context(), &connectorv1.FetchAcksRequest{}, func(*connectorv1.FetchAcksResponse) error { return mine })
	if !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	var report *connector.FetchError
	err = p.FetchAcks(t.Context(), &connectorv1.FetchAcksRequest{Limit: failingFetch}, nil)
	if !errors.As(err, &report) || report.Error() != "THROTTLED: too many logins" || report.RetryAfter() != time.Minute {
		t.Errorf("what the connector reports of itself: %v", err)
	}
	settle := func(handle string) error {
		_, err := p.SettleAcks(t.Context(), &connectorv1.SettleAcksRequest{Settlements: []*connectorv1.Settlement{{Handle: handle}}})
		return err
	}
	var contract *connector.ContractError
	if err := settle("ack-0"); err != nil {
		t.Error(err)
	}
	if err := settle("skip"); !errors.As(err, &contract) {
		t.Errorf("an answer that leaves a settlement out: %v", err)
	}
}

func TestAfterTheStopCallsFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	h := w.start()
	p, pid := w.port("NOOP"), w.status("noop").PID
	ended := make(chan error, 1)
	go func() {
		_, err := export(p, "wait /nowhere/never", nil)
		ended <- err
	}()
	eventually(t, 5*time.Second, "the export runs", func() bool { return w.status("noop").InFlight == 1 })
	w.stop()
	if err := <-ended; asCrash(err) == nil || !strings.Contains(err.Error(), "host stops it") {
		t.Errorf("the running call ended with %v", err)
	}
	var unavailable *connector.UnavailableError
	if _, err := export(p, "deliver", nil); !errors.As(err, &unavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := h.Get("NOOP"); err == nil {
		t.Error("Get still works")
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("the process is still there")
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Errorf("the second stop: %v", err)
	}
}
