package pluginhost

import (
	"context"
	"errors"
	"io"

	"github.com/orderport/orderport/host/internal/connector"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	sdkport "github.com/orderport/orderport/sdk/port"
)

func (i *instance) contract(reason string) error {
	return &connector.ContractError{Type: i.id.describe.GetConnectorType(), Reason: reason}
}

func (i *instance) testConnection(ctx context.Context, h *Host, req *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	res, err := i.client.TestConnection(ctx, req)
	if err != nil {
		return nil, err
	}
	if !res.GetSuccess() && res.GetError() == nil && res.GetErrorMessage() == "" {
		return nil, i.contract("a test failed without an error")
	}
	res.ErrorMessage = h.tidy(res.GetErrorMessage())
	h.tidyError(res.GetError())
	for _, s := range res.GetSteps() {
		s.Message = h.tidy(s.GetMessage())
	}
	return res, nil
}

func (i *instance) fetchAcks(ctx context.Context, h *Host, req *connectorv1.FetchAcksRequest, yield func(*connectorv1.FetchAcksResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream when yield does not want more
	stream, err := i.client.FetchAcks(ctx, req)
	if err != nil {
		return err
	}
	for {
		ack, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return h.fetchFailure(err)
		}
		if n := ack.GetNegative(); n != nil {
			n.Message = h.tidy(n.GetMessage())
		}
		if m := ack.GetMalformed(); m != nil {
			m.Reason = h.tidy(m.GetReason())
		}
		if err := yield(ack); err != nil {
			return callerError{err}
		}
	}
}

// fetchFailure finds the connector's own report in a status: FetchAcks has no
// other place for one.
func (h *Host) fetchFailure(err error) error {
	report := sdkport.ErrorFrom(err)
	if report == nil {
		return err
	}
	h.tidyError(report)
	return &connector.FetchError{Report: report}
}

func (i *instance) settleAcks(ctx context.Context, h *Host, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	res, err := i.client.SettleAcks(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(res.GetResults()) != len(req.GetSettlements()) {
		return nil, i.contract("SettleAcks did not answer for each settlement")
	}
	for n, r := range res.GetResults() {
		if r.GetHandle() != req.GetSettlements()[n].GetHandle() {
			return nil, i.contract("SettleAcks answered in another order")
		}
		h.tidyError(r.GetError())
	}
	return res, nil
}

// Bounds on what a result may carry, beyond the size of its message.
const (
	maxErrorText = 8 << 10
	maxDetail    = 2 << 10
	maxDetails   = 64
)

// tidy makes a connector's text fit to be stored and shown: no secrets, a
// bounded length.
func (h *Host) tidy(s string) string { return h.tidyTo(s, maxErrorText) }

func (h *Host) tidyTo(s string, limit int) string {
	return truncate(h.redact.String(s), limit)
}

func (h *Host) tidyError(e *connectorv1.Error) {
	if e == nil {
		return
	}
	e.Message = h.tidy(e.GetMessage())
	h.tidyMap(e.GetDetails())
	for _, v := range e.GetViolations() {
		v.Path, v.Message = h.tidyTo(v.GetPath(), maxDetail), h.tidyTo(v.GetMessage(), maxDetail)
	}
}

func (h *Host) tidyMap(m map[string]string) {
	for k, v := range m {
		if len(m) > maxDetails {
			delete(m, k)
			continue
		}
		m[k] = h.tidyTo(v, maxDetail)
	}
}
