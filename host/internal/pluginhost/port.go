package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/orderport/orderport/host/internal/connector"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// port is a connector.Port whose calls go to whichever process of the type is
// ready.
type port struct {
	host          *Host
	connectorType string
	last          atomic.Pointer[identity] // as last known
	isolate       *isolate                 // nil: calls share one process
}

var _ connector.Port = (*port)(nil)

// Describe returns what the binary in use says of itself.
func (p *port) Describe() *connectorv1.DescribeResponse {
	if u, err := p.host.routes.Load().find(p.connectorType); err == nil {
		u.mu.Lock()
		if u.active != nil {
			p.last.Store(u.active.id)
		}
		u.mu.Unlock()
	}
	return p.last.Load().describe
}

// acquire returns an instance that the call has entered. While the connector
// is restarting it waits a bounded time.
func (p *port) acquire(ctx context.Context) (*instance, error) {
	var timeout <-chan time.Time
	for {
		u, err := p.host.routes.Load().find(p.connectorType)
		if err != nil {
			return nil, &connector.UnavailableError{Type: p.connectorType, Reason: err.Error()}
		}
		inst, changed, err := u.offer()
		if inst != nil {
			return inst, nil
		}
		if !u.waitable() {
			return nil, err
		}
		if timeout == nil {
			t := time.NewTimer(p.host.opts.Limits.Available)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// with runs one call on the process that this port stands for.
func (p *port) with(ctx context.Context, config []byte, call func(context.Context, *instance) error) error {
	if p.isolate != nil {
		return p.isolate.with(ctx, config, call)
	}
	for tries := 1; ; tries++ {
		inst, err := p.acquire(ctx)
		if err != nil {
			return err
		}
		err = p.host.run(ctx, inst, config, call)
		var lost *notSentError
		if !errors.As(err, &lost) {
			return err
		}
		if tries == maxTries {
			return &connector.UnavailableError{Type: p.connectorType, Reason: lost.Error()}
		}
	}
}

// maxTries is how often a call is made that met a process just when it died.
const maxTries = 3

// notSentError says that a process ended before the connector can have seen
// anything of the call.
type notSentError struct{ error }

// run makes one call on an instance that it has entered, and leaves it. It
// gives the call a deadline if it has none, makes the config's secrets known to
// the redactor before the connector sees them, and says in the host's terms
// what went wrong.
func (h *Host) run(ctx context.Context, inst *instance, config []byte, call func(context.Context, *instance) error) error {
	h.redact.Learn(inst.id.schema, config)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.opts.Limits.Call)
		defer cancel()
	}
	err := call(ctx, inst)
	if err != nil {
		err = h.explain(ctx, inst, err)
	}
	inst.leave(err == nil)
	return err
}

// callerError is an error of the caller's own function; it passes unchanged.
type callerError struct{ error }

// explain turns the error of a call into one of those that connector.Port
// promises.
func (h *Host) explain(ctx context.Context, inst *instance, err error) error {
	var own callerError
	var fetch *connector.FetchError
	var contract *connector.ContractError
	var unsent *notSentError
	switch {
	case errors.As(err, &own):
		return own.error
	case errors.As(err, &fetch):
		return fetch
	case errors.As(err, &contract):
		return contract
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &unsent) && ended(inst.proc, deathNotice):
		return unsent
	}
	typeName := inst.id.describe.GetConnectorType()
	st := statusOf(err)
	switch st.Code() {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.Canceled:
		if ended(inst.proc, graceFor(st.Code())) {
			return &connector.CrashError{Type: typeName, Reason: inst.proc.Exit().String()}
		}
		if state := inst.proc.Conn().GetState(); st.Code() == codes.Unavailable && state != connectivity.Ready {
			inst.proc.Kill("it lives, but its connection is lost")
			ended(inst.proc, deathNotice)
			return &connector.CrashError{Type: typeName, Reason: inst.proc.Exit().String()}
		}
	case codes.DeadlineExceeded:
		// Our deadline is a little ahead of ctx's own timer.
		if d, ok := ctx.Deadline(); ok && time.Until(d) < 100*time.Millisecond {
			return context.DeadlineExceeded
		}
	default:
	}
	return &connector.ContractError{
		Type:   typeName,
		Reason: fmt.Sprintf("gRPC status %s: %s", st.Code(), clip(h.redact.String(st.Message()))),
	}
}

func statusOf(err error) *status.Status {
	var unsent *notSentError
	if errors.As(err, &unsent) {
		err = unsent.error
	}
	return status.Convert(err)
}

// graceFor is how long to wait for the news of a death behind a broken call.
// The codes that a connector may well have chosen itself get less.
func graceFor(code codes.Code) time.Duration {
	if code == codes.Unavailable {
		return deathNotice
	}
	return 20 * time.Millisecond
}

// TestConnection tries a config.
func (p *port) TestConnection(ctx context.Context, req *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	var out *connectorv1.TestConnectionResponse
	err := p.with(ctx, req.GetConnection().GetConfig(), func(ctx context.Context, inst *instance) (err error) {
		out, err = inst.testConnection(ctx, p.host, req)
		return err
	})
	return out, err
}

// Export runs one attempt.
func (p *port) Export(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
	var out *connectorv1.ExportResult
	err := p.with(ctx, start.GetConnection().GetConfig(), func(ctx context.Context, inst *instance) (err error) {
		out, err = inst.export(ctx, p.host, start, sink)
		return err
	})
	return out, err
}

// FetchAcks calls yield for each ack.
func (p *port) FetchAcks(ctx context.Context, req *connectorv1.FetchAcksRequest, yield func(*connectorv1.FetchAcksResponse) error) error {
	return p.with(ctx, req.GetConnection().GetConfig(), func(ctx context.Context, inst *instance) error {
		return inst.fetchAcks(ctx, p.host, req, yield)
	})
}

// SettleAcks tells the connector what was committed.
func (p *port) SettleAcks(ctx context.Context, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	var out *connectorv1.SettleAcksResponse
	err := p.with(ctx, req.GetConnection().GetConfig(), func(ctx context.Context, inst *instance) (err error) {
		out, err = inst.settleAcks(ctx, p.host, req)
		return err
	})
	return out, err
}
