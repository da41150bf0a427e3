package app

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/view"
)

// Registry is what the services need of package pluginhost.
type Registry interface {
	Get(connectorType string) (connector.Port, error)
	Status() []connector.Status
}

// ConnectorTypes shows which connectors there are.
type ConnectorTypes struct {
	registry Registry
}

// List returns the connector types that some binary advertises, by name. A
// binary that never answered has no type and is not in the list; see Doctor.
func (t *ConnectorTypes) List(_ context.Context, actor Actor) ([]view.ConnectorType, error) {
	if err := actor.Authorize(ReadConnectors); err != nil {
		return nil, err
	}
	byType := map[string]connector.Status{}
	for _, status := range t.registry.Status() {
		if status.Type == "" {
			continue
		}
		if known, ok := byType[status.Type]; ok && known.State == connector.Ready {
			continue
		}
		byType[status.Type] = status
	}
	types := make([]view.ConnectorType, 0, len(byType))
	for _, status := range byType {
		types = append(types, t.show(status))
	}
	slices.SortFunc(types, func(a, b view.ConnectorType) int { return cmp.Compare(a.ConnectorType, b.ConnectorType) })
	return types, nil
}

// Find returns one connector type.
func (t *ConnectorTypes) Find(ctx context.Context, actor Actor, name string) (view.ConnectorType, error) {
	types, err := t.List(ctx, actor)
	if err != nil {
		return view.ConnectorType{}, err
	}
	for _, found := range types {
		if found.ConnectorType == name {
			return found, nil
		}
	}
	return view.ConnectorType{}, fault.New(fault.NotFound, "unknown_connector_type", "Unknown connector type: %s", name).
		WithHint("`orderport connector list` shows every binary in the plugin directory and why it is not used")
}

func (t *ConnectorTypes) show(status connector.Status) view.ConnectorType {
	shown := view.ConnectorType{
		ConnectorType: status.Type, Name: status.Name, Version: status.Version,
		ExportFormatVersions: []string{}, Capabilities: []string{},
	}
	reason := status.Reason
	if port, err := t.registry.Get(status.Type); err == nil {
		shown = view.NewConnectorType(port.Describe())
	} else if reason == "" {
		reason = err.Error()
	}
	shown.State = string(status.State)
	if reason != "" {
		shown.Reason = &reason
	}
	return shown
}

// lookUp finds the Port of a type, as a fault that names the field.
func lookUp(registry Registry, connectorType string) (connector.Port, error) {
	port, err := registry.Get(connectorType)
	if err == nil {
		return port, nil
	}
	var unknown *connector.UnknownTypeError
	switch {
	case errors.As(err, &unknown):
		return nil, fault.New(fault.Invalid, "unknown_connector_type", "%s", unknown.Error()).
			WithField("connector_type", "%s", unknown.Error()).
			WithHint("GET /api/v1/connector-types or `orderport connector list` shows what there is").Because(err)
	case errors.Is(err, connector.ErrAmbiguous):
		return nil, fault.New(fault.Unavailable, "connector_ambiguous", "%s", err.Error()).
			WithHint("remove one of the binaries from the plugin directory")
	default:
		return nil, fault.New(fault.Unavailable, "connector_unavailable", "%s", err.Error()).
			WithHint("`orderport connector list` shows its state and why")
	}
}
