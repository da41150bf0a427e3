package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/view"
)

// connectionBody documents the body of createConnection.
type connectionBody struct {
	ConnectorType string         `json:"connector_type" example:"DROPZONE_JSON_V1" doc:"One of the connector types."`
	Config        map[string]any `json:"config" doc:"As the connector type's config_schema says."`
	TestOnSave    bool           `json:"test_on_save,omitempty" doc:"Try the config first. If the test fails, nothing is saved: 422 connection_test_failed, with the test result."`
}

// configBody documents the body of updateConnectionConfig.
type configBody struct {
	Config     map[string]any `json:"config" doc:"The whole new config. A secret that it leaves out stays as it is; one that is null is removed."`
	TestOnSave bool           `json:"test_on_save,omitempty" doc:"Try the config first, and save it only if the test succeeds."`
}

func (s *server) registerConnections(api huma.API) {
	register(api, operation{
		method: http.MethodPost, path: "/connections", id: "createConnection", tag: "Connections",
		summary: "Create a connection", action: app.CreateConnection, body: connectionBody{},
		text:  "An organization has at most one active connection of each type. The config is checked, sealed and saved; its secrets are never shown again.",
		ok:    map[int]string{http.StatusCreated: "The connection, and the test result if it was tested."},
		fails: []int{http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge},
	}, s.createConnection)
	register(api, operation{
		method: http.MethodGet, path: "/connections", id: "listConnections", tag: "Connections",
		summary: "List the connections", action: app.ReadConnections,
		ok: map[int]string{http.StatusOK: "All connections, the disabled ones too; always one page."},
	}, s.listConnections)
	register(api, operation{
		method: http.MethodGet, path: "/connections/{id}", id: "getConnection", tag: "Connections",
		summary: "Show a connection", action: app.ReadConnections,
		ok:    map[int]string{http.StatusOK: "The connection, its health, and its config without secrets."},
		fails: []int{http.StatusNotFound},
	}, s.getConnection)
	register(api, operation{
		method: http.MethodPut, path: "/connections/{id}/config", id: "updateConnectionConfig", tag: "Connections",
		summary: "Replace a connection's config", action: app.UpdateConnection, body: configBody{},
		text:  "Secrets that the new config leaves out stay as they are, so a config can be shown, edited and sent back. The body may also be the config itself, without a wrapper.",
		ok:    map[int]string{http.StatusOK: "The connection as it is now."},
		fails: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge},
	}, s.updateConfig)
	register(api, operation{
		method: http.MethodPost, path: "/connections/{id}/test", id: "testConnection", tag: "Connections",
		summary: "Test a connection", action: app.TestConnection,
		text:  "Tries the stored config against the real target and leaves nothing there. A test that fails is an answer like any other. One that succeeds lets waiting exports go on at once.",
		ok:    map[int]string{http.StatusOK: "The test result, also when the test failed."},
		fails: []int{http.StatusNotFound},
	}, s.testConnection)
	for _, enable := range []bool{true, false} {
		s.registerSwitch(api, enable)
	}
}

func (s *server) registerSwitch(api huma.API, enable bool) {
	o := operation{
		method: http.MethodPost, path: "/connections/{id}/disable", id: "disableConnection", tag: "Connections",
		summary: "Disable a connection", action: app.DisableConnection,
		text:  "It takes no more orders, and what it has waits until it is enabled again. Repeatable.",
		ok:    map[int]string{http.StatusOK: "The connection as it is now."},
		fails: []int{http.StatusNotFound},
	}
	if enable {
		o.path, o.id, o.summary, o.action = "/connections/{id}/enable", "enableConnection", "Enable a connection", app.EnableConnection
		o.text, o.fails = "Repeatable. 409 while another connection of its type is active.", append(o.fails, http.StatusConflict)
	}
	register(api, o, func(ctx context.Context, in *ConnectionID) (*answer[view.Connection], error) {
		id, err := in.parse()
		if err != nil {
			return nil, err
		}
		conn, err := s.connections.SetEnabled(ctx, actor(ctx), id, enable)
		return answerWith(http.StatusOK, conn, err)
	})
}

// ConnectionID is the path parameter of one connection. It is exported for huma to
// find it where it is embedded.
type ConnectionID struct {
	ID string `path:"id" maxLength:"100" doc:"Id of the connection."`
}

func (c ConnectionID) parse() (uuid.UUID, error) { return parseID("connection", c.ID) }

// parseID reads an id out of a path; what is no UUID names nothing.
func parseID(what, id string) (uuid.UUID, error) {
	const canonical = 36
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != canonical {
		return uuid.UUID{}, notFound(what, id)
	}
	return parsed, nil
}

func answerWith[T any](status int, body T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{Status: status, Body: body}, nil
}

func (s *server) createConnection(ctx context.Context, in *struct{ withBody }) (*answer[view.Connection], error) {
	members, err := in.fields("connector_type", "config", "test_on_save")
	if err != nil {
		return nil, err
	}
	req := app.NewConnection{Config: members["config"]}
	err = gather(
		member(members, "connector_type", "a text", &req.ConnectorType),
		member(members, "test_on_save", "true or false", &req.TestOnSave),
	)
	if err != nil {
		return nil, err
	}
	conn, err := s.connections.Create(ctx, actor(ctx), req)
	return answerWith(http.StatusCreated, conn, err)
}

func (s *server) listConnections(ctx context.Context, _ *struct{}) (*answer[view.List[view.Connection]], error) {
	found, err := s.connections.List(ctx, actor(ctx))
	same := func(c view.Connection) view.Connection { return c }
	return answerWith(http.StatusOK, view.NewList(found, "", same), err)
}

func (s *server) getConnection(ctx context.Context, in *ConnectionID) (*answer[view.Connection], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	conn, err := s.connections.Show(ctx, actor(ctx), id)
	return answerWith(http.StatusOK, conn, err)
}

func (s *server) updateConfig(ctx context.Context, in *struct {
	ConnectionID
	withBody
},
) (*answer[view.Connection], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	data, err := in.read()
	if err != nil {
		return nil, err
	}
	config, test, err := newConfig(data)
	if err != nil {
		return nil, err
	}
	conn, err := s.connections.UpdateConfig(ctx, actor(ctx), id, config, test)
	return answerWith(http.StatusOK, conn, err)
}

// newConfig reads {"config": {…}, "test_on_save": …} or a bare config. A body
// with an object "config" and nothing else but "test_on_save" is the former.
func newConfig(data []byte) (config json.RawMessage, test bool, err error) {
	members, err := parseObject(data)
	if err != nil {
		return nil, false, err
	}
	inner, wrapped := members["config"]
	wrapped = wrapped && bytes.HasPrefix(inner, []byte("{")) &&
		refuseUnknown(members, []string{"config", "test_on_save"}) == nil
	if !wrapped {
		return data, false, nil
	}
	err = member(members, "test_on_save", "true or false", &test)
	return inner, test, err
}

func (s *server) testConnection(ctx context.Context, in *ConnectionID) (*answer[view.TestResult], error) {
	id, err := in.parse()
	if err != nil {
		return nil, err
	}
	result, err := s.connections.Test(ctx, actor(ctx), id)
	return answerWith(http.StatusOK, result, err)
}
