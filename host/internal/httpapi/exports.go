package httpapi

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/view"
)

func (s *server) registerExports(api huma.API) {
	register(api, operation{
		method: http.MethodPost, path: "/exports", id: "createExport", tag: "Exports",
		summary: "Hand in an approved order", action: app.CreateExport, body: exportBody{},
		text: "Once answered with 2xx, the order reaches the ERP exactly once, or its export ends FAILED with a reason. " +
			"Repeat the call whenever the answer was lost: the order's id makes it idempotent, and so does an Idempotency-Key.",
		ok: map[int]string{
			http.StatusOK:       "The order was handed in before; this is its latest export.",
			http.StatusAccepted: "The order is accepted; this is its export.",
		},
		fails: []int{http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge},
	}, s.createExport)
	s.registerBatch(api)
	register(api, operation{
		method: http.MethodGet, path: "/exports", id: "listExports", tag: "Exports",
		summary: "List exports", action: app.ReadExports,
		ok:    map[int]string{http.StatusOK: "A page of exports, from new to old."},
		fails: []int{http.StatusBadRequest},
	}, s.listExports)
	register(api, operation{
		method: http.MethodGet, path: "/exports/{id}", id: "getExport", tag: "Exports",
		summary: "Show an export with its attempts", action: app.ReadExports,
		ok:    map[int]string{http.StatusOK: "The export."},
		fails: []int{http.StatusNotFound},
	}, s.getExport)
	s.registerPayload(api)
	register(api, operation{
		method: http.MethodPost, path: "/exports/{id}/retry", id: "retryExport", tag: "Exports",
		summary: "Retry a failed export", action: app.RetryExport,
		text:  "Makes a new export for the same order, over the organization's active connection of the same type. The failed one stays as it is.",
		ok:    map[int]string{http.StatusAccepted: "The new export."},
		fails: []int{http.StatusNotFound, http.StatusConflict},
	}, s.retryExport)
	register(api, operation{
		method: http.MethodPost, path: "/exports/{id}/resolve", id: "resolveExport", tag: "Exports",
		summary: "Say what became of an export whose outcome is unknown", action: app.ResolveExport, body: resolveBody{},
		text: "Only for an export that is FAILED with OUTCOME_UNKNOWN. Look in the ERP first: " +
			"`sent` if the order is there, `failed` if it is not; a failed one can then be retried.",
		ok:    map[int]string{http.StatusOK: "The export as it is now."},
		fails: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict},
	}, s.resolveExport)
}

type resolveBody struct {
	Outcome string `json:"outcome" enum:"sent,failed"`
}

type createExportInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Names this hand-in: the same key with the same order answers the same; with another one 409."`
	withBody
}

func (s *server) createExport(ctx context.Context, in *createExportInput) (*answer[view.Export], error) {
	members, err := in.fields("draft_order", "connector_type")
	if err != nil {
		return nil, err
	}
	hand := app.HandIn{Order: members["draft_order"], IdempotencyKey: in.IdempotencyKey}
	err = member(members, "connector_type", "a text", &hand.ConnectorType)
	if len(hand.Order) == 0 || string(hand.Order) == "null" {
		err = gather(invalid().WithField("draft_order", "is required"), err)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.intake.Accept(ctx, actor(ctx), hand)
	if err != nil {
		return nil, inField(err, "draft_order")
	}
	return &answer[view.Export]{Status: statusOf(out), Body: view.NewExport(out.Export)}, nil
}

func statusOf(out app.Outcome) int {
	if out.Created {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// inField moves an invalid order's paths below the member that holds it.
func inField(err error, member string) error {
	f := fault.From(err)
	if f.Code != "invalid_order" {
		return err
	}
	moved := *f
	moved.Violations = make([]fault.Violation, len(f.Violations))
	for i, v := range f.Violations {
		path := member
		if v.Path != "" {
			path += "." + v.Path
		}
		moved.Violations[i] = fault.Violation{Path: path, Message: v.Message}
	}
	return &moved
}

type listExportsInput struct {
	Page
	Status       string `query:"status" enum:"PENDING,SENT,ACKED,FAILED"`
	DraftOrderID string `query:"draft_order_id" format:"uuid"`
	ConnectionID string `query:"connection_id" format:"uuid"`
	Since        string `query:"since" doc:"Created at or after this RFC 3339 instant." example:"2026-01-31T09:00:00Z"`
}

func (in *listExportsInput) filter() (store.ExportFilter, error) {
	f := store.ExportFilter{Status: domain.ExportStatus(in.Status)}
	wrong := invalid()
	var err error
	if in.DraftOrderID != "" {
		if f.DraftOrderID, err = uuid.Parse(in.DraftOrderID); err != nil {
			_ = wrong.WithField("draft_order_id", "must be a UUID")
		}
	}
	if in.ConnectionID != "" {
		if f.ConnectionID, err = uuid.Parse(in.ConnectionID); err != nil {
			_ = wrong.WithField("connection_id", "must be a UUID")
		}
	}
	if in.Since != "" {
		if f.Since, err = time.Parse(time.RFC3339, in.Since); err != nil {
			_ = wrong.WithField("since", "must be an RFC 3339 instant such as 2026-01-31T09:00:00Z")
		}
	}
	if len(wrong.Violations) > 0 {
		return f, wrong
	}
	return f, nil
}

func (s *server) listExports(ctx context.Context, in *listExportsInput) (*answer[view.List[view.Export]], error) {
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	exports, next, err := s.exports.List(ctx, actor(ctx), filter, store.Page{Limit: in.Limit, Cursor: in.Cursor})
	return answerWith(http.StatusOK, view.NewList(exports, next, view.NewExport), err)
}

// ExportID is the path parameter of one export.
type ExportID struct {
	ID string `path:"id" maxLength:"100" doc:"Id of the export."`
}

func (e ExportID) parse() (uuid.UUID, error) { return parseID("export", e.ID) }

func (s *server) getExport(ctx context.Context, in *ExportID) (*answer[view.ExportWithAttempts], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	detail, err := s.exports.Get(ctx, actor(ctx), id)
	return answerWith(http.StatusOK, view.NewExportWithAttempts(detail.Export, detail.Attempts, detail.WaitsFor), err)
}

func (s *server) retryExport(ctx context.Context, in *ExportID) (*answer[view.Export], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	export, err := s.exports.Retry(ctx, actor(ctx), id)
	return answerWith(http.StatusAccepted, view.NewExport(export), err)
}

func (s *server) resolveExport(ctx context.Context, in *struct {
	ExportID
	withBody
},
) (*answer[view.Export], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	members, err := in.fields("outcome")
	if err != nil {
		return nil, err
	}
	var outcome string
	if err := member(members, "outcome", `"sent" or "failed"`, &outcome); err != nil {
		return nil, err
	}
	if outcome != "sent" && outcome != "failed" {
		return nil, invalid().WithField("outcome", `must be "sent" or "failed"`)
	}
	export, err := s.exports.Resolve(ctx, actor(ctx), id, outcome == "sent")
	return answerWith(http.StatusOK, view.NewExport(export), err)
}

func (s *server) registerPayload(api huma.API) {
	register(api, operation{
		method: http.MethodGet, path: "/exports/{id}/payload", id: "getExportPayload", tag: "Exports",
		summary: "Download the bytes of an export", action: app.ReadExports,
		text:  "Exactly the bytes that were delivered. The ETag is their SHA-256 in hex.",
		ok:    map[int]string{http.StatusOK: "The bytes.", http.StatusNotModified: "They are what If-None-Match names."},
		fails: []int{http.StatusNotFound},
	}, s.getPayload)
	op := api.OpenAPI().Paths[Base+"/exports/{id}/payload"].Get
	op.Responses["200"].Content = map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}
}

func (s *server) getPayload(ctx context.Context, in *ExportID) (*huma.StreamResponse, error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	found, err := s.exports.OpenPayload(ctx, actor(ctx), id)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer func() { _ = found.Body.Close() }()
		r, w := humago.Unwrap(hctx)
		etag := `"` + hex.EncodeToString(found.SHA256[:]) + `"`
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "private, no-cache")
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", path.Base(found.Key)))
		w.Header().Set("Content-Length", strconv.FormatInt(found.Size, 10))
		w.WriteHeader(http.StatusOK)
		// Content-Length tells the client if the copy stops short.
		_, _ = io.Copy(w, found.Body)
	}}, nil
}
