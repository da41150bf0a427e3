package recipes

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orderport/orderport/sdk"
)

// rest creates a document by POST /orders and finds it by its reference.
type rest struct{}

var (
	_ sdk.Resumer   = rest{}
	_ sdk.AckSource = rest{}
)

func (rest) Describe() sdk.Description { return describe("RECIPE_REST") }

func (rest) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	return ping(ctx, req)
}

// booking is the checkpoint: the reference that the document carries.
type booking struct {
	Reference string `json:"reference"`
}

var bookings = sdk.Checkpoints[booking]{Version: 1}

func (rest) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	body, err := store(ctx, req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	// From here on, a next attempt looks before it creates.
	if err := bookings.Save(ctx, req, booking{req.ExportID}, req.ExportID); err != nil {
		return sdk.ExportResult{}, err
	}
	return create(ctx, req, body)
}

func (rest) ResumeExport(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	saved, _, err := bookings.Load(req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	var found []struct {
		Number string `json:"number"`
	}
	query := "/orders?reference=" + url.QueryEscape(saved.Reference)
	if err := call(ctx, req.Connection, http.MethodGet, query, nil, &found); err != nil {
		return sdk.ExportResult{}, unanswered(err)
	}
	if len(found) > 0 {
		return sdk.ExportResult{ExternalRef: saved.Reference, ERPOrderID: found[0].Number, Recovered: true}, nil
	}
	body, err := store(ctx, req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	return create(ctx, req, body)
}

// create is the visible step. Its own errors decide: 4xx says that the ERP did
// not take the order; 5xx and a lost answer leave that open, and the next
// attempt looks.
func create(ctx context.Context, req *sdk.ExportRequest, body []byte) (sdk.ExportResult, error) {
	var created struct {
		Number string `json:"number"`
	}
	if err := call(ctx, req.Connection, http.MethodPost, "/orders", body, &created); err != nil {
		return sdk.ExportResult{}, err
	}
	return sdk.ExportResult{ExternalRef: req.ExportID, ERPOrderID: created.Number}, nil
}

// unanswered keeps a look-up that failed from being taken for an answer about
// the order: a final error would promise that the ERP does not have it.
func unanswered(err error) error {
	var refused *sdk.Error
	if errors.As(err, &refused) && !refused.Retryable {
		return sdk.Errorf(sdk.OutcomeUnknown, "ask the ERP whether it has the order: %w", err)
	}
	return err
}

// answer is what the ERP says about an order.
type answer struct {
	ID        string    `json:"id"`
	Reference string    `json:"reference"`
	Number    string    `json:"number"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

// FetchAcks asks for what is new. The ERP keeps an answer until it is settled,
// so nothing has to be remembered here.
func (rest) FetchAcks(ctx context.Context, req sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
	var answers []answer
	if err := call(ctx, req.Connection, http.MethodGet, "/answers", nil, &answers); err != nil {
		return err
	}
	for _, a := range answers {
		ack := sdk.Ack{Handle: a.ID, ExternalRef: a.Reference, ProcessedAt: a.At}
		switch {
		case a.Number != "":
			ack.Answer = sdk.Accepted{ERPOrderID: a.Number}
		case a.Reason != "":
			ack.Answer = sdk.Declined{Code: "REFUSED", Message: a.Reason}
		default:
			ack.Answer = sdk.Malformed{Reason: "it has neither number nor reason"}
		}
		if err := yield(ack); err != nil {
			return err
		}
	}
	return nil
}

// SettleAcks tells the ERP which answers were kept. One that is gone was
// settled before.
func (rest) SettleAcks(ctx context.Context, req sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) {
	var result sdk.SettleAcksResult
	for _, s := range req.Settlements {
		err := call(ctx, req.Connection, http.MethodDelete, "/answers/"+url.PathEscape(s.Handle), nil, nil)
		if err != nil && sdk.CodeOf(err) != sdk.NotFound {
			result.Fail(s.Handle, err)
		}
	}
	return result, nil
}
