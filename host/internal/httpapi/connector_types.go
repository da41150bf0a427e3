package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/view"
)

func (s *server) registerConnectorTypes(api huma.API) {
	register(api, operation{
		method: http.MethodGet, path: "/connector-types", id: "listConnectorTypes", tag: "Connectors",
		summary: "List the connector types", action: app.ReadConnectors,
		text: "All connector types of this host, with the schema of their config and their state.",
		ok:   map[int]string{http.StatusOK: "The connector types, by name; always one page."},
	}, s.listConnectorTypes)
	register(api, operation{
		method: http.MethodGet, path: "/connector-types/{type}", id: "getConnectorType", tag: "Connectors",
		summary: "Show a connector type", action: app.ReadConnectors,
		ok:    map[int]string{http.StatusOK: "The connector type."},
		fails: []int{http.StatusNotFound},
	}, s.getConnectorType)
}

func (s *server) listConnectorTypes(ctx context.Context, _ *struct{}) (*answer[view.List[view.ConnectorType]], error) {
	types, err := s.Services.Connectors.List(ctx, actor(ctx))
	if err != nil {
		return nil, err
	}
	same := func(t view.ConnectorType) view.ConnectorType { return t }
	return &answer[view.List[view.ConnectorType]]{Status: http.StatusOK, Body: view.NewList(types, "", same)}, nil
}

type typeInput struct {
	Type string `path:"type" maxLength:"63" example:"DROPZONE_JSON_V1"`
}

func (s *server) getConnectorType(ctx context.Context, in *typeInput) (*answer[view.ConnectorType], error) {
	found, err := s.Services.Connectors.Find(ctx, actor(ctx), in.Type)
	if err != nil {
		return nil, err
	}
	return &answer[view.ConnectorType]{Status: http.StatusOK, Body: found}, nil
}

func (s *server) registerAudit(api huma.API) {
	register(api, operation{
		method: http.MethodGet, path: "/audit", id: "listAudit", tag: "Audit",
		summary: "List the audit log", action: app.ReadAudit,
		ok:    map[int]string{http.StatusOK: "A page of entries, from new to old."},
		fails: []int{http.StatusBadRequest},
	}, s.listAudit)
}

func (s *server) listAudit(ctx context.Context, in *Page) (*answer[view.List[view.AuditEntry]], error) {
	entries, next, err := s.Services.Audit.List(ctx, actor(ctx), store.Page{Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	return &answer[view.List[view.AuditEntry]]{Status: http.StatusOK, Body: view.NewList(entries, next, view.NewAuditEntry)}, nil
}
