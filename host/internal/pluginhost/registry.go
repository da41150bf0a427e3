package pluginhost

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orderport/orderport/host/internal/connector"
)

// routes says which units stand for which connector type. It is never changed
// once it is published.
type routes struct {
	// known has the units whose binary has advertised the type. More than one:
	// none may be used.
	known map[string][]*unit
	// expected has units that have not described themselves yet, by the type
	// that the lock file pins.
	expected map[string]*unit
}

// rebuild publishes the routes anew after a unit has changed.
func (h *Host) rebuild() {
	h.routing.Lock()
	defer h.routing.Unlock()
	r := &routes{known: map[string][]*unit{}, expected: map[string]*unit{}}
	for _, u := range h.all() {
		u.mu.Lock()
		switch t := u.typeName(); {
		case u.active != nil:
			r.known[t] = append(r.known[t], u)
		case t != "":
			r.expected[t] = u
		}
		u.mu.Unlock()
	}
	for t, units := range r.known { // whoever debugs a connector means that one
		if i := slices.IndexFunc(units, func(u *unit) bool { return h.attaches(u.path) }); i >= 0 {
			r.known[t] = units[i : i+1]
		}
	}
	h.routes.Store(r)
}

// find returns the one unit of a type, or why there is none to use.
func (r *routes) find(connectorType string) (*unit, error) {
	units := r.known[connectorType]
	switch {
	case len(units) > 1:
		return nil, ambiguous(connectorType, units)
	case len(units) == 1:
		return units[0], nil
	case r.expected[connectorType] != nil:
		return r.expected[connectorType], nil
	}
	return nil, &connector.UnknownTypeError{Type: connectorType}
}

func ambiguous(connectorType string, units []*unit) error {
	paths := make([]string, len(units))
	for i, u := range units {
		paths[i] = u.path
	}
	return fmt.Errorf("%w: %s is advertised by %s", connector.ErrAmbiguous, connectorType, strings.Join(paths, " and "))
}

// Get returns the Port of a type.
func (h *Host) Get(connectorType string) (connector.Port, error) {
	return h.portOf(connectorType)
}

func (h *Host) portOf(connectorType string) (*port, error) {
	u, err := h.routes.Load().find(connectorType)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.active == nil || u.state == connector.Quarantined || u.state == connector.Stopped {
		return nil, u.unavailable()
	}
	p := &port{host: h, connectorType: connectorType}
	p.last.Store(u.active.id)
	return p, nil
}

// Isolated returns a Port of a type whose process nobody else uses. The process
// is started when it is needed and stopped when it has been idle for a while;
// the Port stays good.
func (h *Host) Isolated(connectorType string) (connector.Port, error) {
	p, err := h.portOf(connectorType)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, &connector.UnavailableError{Type: connectorType, Reason: errStopped.Error()}
	}
	p.isolate = newIsolate(h, connectorType)
	h.isolated = append(h.isolated, p.isolate)
	return p, nil
}

// Types lists the types that Get returns without an error.
func (h *Host) Types() []string {
	var out []string
	for t := range h.routes.Load().known {
		if _, err := h.portOf(t); err == nil {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return out
}

// Status lists all binaries, by file name.
func (h *Host) Status() []connector.Status {
	var out []connector.Status
	for _, u := range h.all() {
		out = u.status(out)
	}
	r := h.routes.Load()
	for i, s := range out {
		if units := r.known[s.Type]; len(units) > 1 && s.State != connector.Draining {
			out[i].State, out[i].Reason = connector.Quarantined, ambiguous(s.Type, units).Error()
		}
	}
	return out
}
