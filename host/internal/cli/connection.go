package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/view"
)

type connectionCommand struct {
	Create  connectionCreate  `cmd:"" help:"Create a connection."`
	List    connectionList    `cmd:"" help:"List an organization's connections."`
	Show    connectionShow    `cmd:"" help:"Show a connection without its secrets."`
	Update  connectionUpdate  `cmd:"" help:"Replace a connection's config. Secrets that it leaves out stay as they are."`
	Test    connectionTest    `cmd:"" help:"Try a connection's config against the real target."`
	Enable  connectionEnable  `cmd:"" help:"Enable a connection."`
	Disable connectionDisable `cmd:"" help:"Disable a connection: it takes no more orders, and what it has waits."`
	Decrypt connectionDecrypt `cmd:"" help:"Print a connection's whole config, secrets too. A last resort; the audit log says who did it."`
}

type connectionCreate struct {
	Org        string `help:"Organization, by slug. Default: the only one." placeholder:"SLUG"`
	Type       string `required:"" help:"Connector type, such as DROPZONE_JSON_V1." placeholder:"TYPE"`
	ConfigFile string `required:"" help:"File with the config (JSON); '-' reads standard input." placeholder:"FILE"`
	Test       bool   `help:"Try the config first, and save it only if the test succeeds."`
}

// Run creates the connection.
func (c *connectionCreate) Run(s *session) error {
	config, err := s.readConfig(c.ConfigFile)
	if err != nil {
		return err
	}
	o, err := s.office(wants{keys: true})
	if err != nil {
		return err
	}
	org, err := s.organization(o, c.Org)
	if err != nil {
		return err
	}
	if err := s.startConnectors(o, c.Type); err != nil {
		return err
	}
	conn, err := o.Connections.Create(s.ctx, s.operator(org.ID), app.NewConnection{
		ConnectorType: c.Type, Config: config, TestOnSave: c.Test,
	})
	if err != nil {
		return err
	}
	return s.out.show(conn, func(w io.Writer) {
		fmt.Fprintf(w, "connection %s created: %s for %s\n", conn.ID, conn.ConnectorType, org.Slug)
		if conn.Test != nil {
			printTest(w, *conn.Test)
		}
	})
}

const maxConfig = 1 << 20

func (s *session) readConfig(name string) (json.RawMessage, error) {
	file, err := s.input(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	if len(data) > maxConfig {
		return nil, usage("the config is larger than %d bytes", maxConfig)
	}
	if !json.Valid(data) {
		return nil, usage("the config in %s is not JSON", name)
	}
	return data, nil
}

type connectionList struct {
	Org string `help:"Organization, by slug. Default: the only one." placeholder:"SLUG"`
}

// Run lists the connections.
func (c *connectionList) Run(s *session) error {
	o, err := s.office(wants{keys: true})
	if err != nil {
		return err
	}
	org, err := s.organization(o, c.Org)
	if err != nil {
		return err
	}
	if s.out.json || s.out.lines {
		// Only these show configs, for which the connectors have to be asked.
		if err := s.startConnectorsOf(o, org.ID); err != nil {
			return err
		}
	}
	found, err := o.Connections.List(s.ctx, s.operator(org.ID))
	if err != nil {
		return err
	}
	same := func(v view.Connection) view.Connection { return v }
	return showList(s.out, view.NewList(found, "", same), []string{"ID", "TYPE", "STATUS", "HEALTH", "REASON", "LAST TEST"},
		func(v view.Connection) []string {
			return []string{v.ID, v.ConnectorType, v.Status, v.Health.State, or(v.Health.Reason), or(v.LastTestAt)}
		})
}

// startConnectorsOf starts the connectors of an organization's connections.
func (s *session) startConnectorsOf(o *office, orgID uuid.UUID) error {
	found, err := o.db.ListConnections(s.ctx, orgID)
	if err != nil {
		return err
	}
	var types []string
	for _, conn := range found {
		if !slices.Contains(types, conn.ConnectorType) {
			types = append(types, conn.ConnectorType)
		}
	}
	return s.startConnectors(o, types...)
}

// connectionRef names a connection.
type connectionRef struct {
	ID  string `arg:"" help:"Id of the connection."`
	Org string `help:"Organization, by slug. Default: the one that has the connection." placeholder:"SLUG"`
}

// open finds the connection and starts its connector if that is wanted.
func (r *connectionRef) open(s *session, withConnector bool) (*office, app.Actor, uuid.UUID, error) {
	id, err := parseID(r.ID)
	if err != nil {
		return nil, app.Actor{}, id, err
	}
	o, err := s.office(wants{keys: true})
	if err != nil {
		return nil, app.Actor{}, id, err
	}
	connectorType := ""
	actor, err := s.owner(o, r.Org, func(actor app.Actor) error {
		conn, err := o.db.Connection(s.ctx, actor.OrgID, id)
		connectorType = conn.ConnectorType
		return err
	})
	if err != nil || !withConnector {
		return o, actor, id, err
	}
	return o, actor, id, s.startConnectors(o, connectorType)
}

type connectionShow struct{ connectionRef }

// Run shows the connection.
func (c *connectionShow) Run(s *session) error {
	o, actor, id, err := c.open(s, true)
	if err != nil {
		return err
	}
	conn, err := o.Connections.Show(s.ctx, actor, id)
	if err != nil {
		return err
	}
	return s.showConnection(conn)
}

func (s *session) showConnection(conn view.Connection) error {
	return s.out.show(conn, func(w io.Writer) {
		config := "(not shown: no connector is there to say which values are secret)"
		if conn.Health.Code != nil && *conn.Health.Code == string(port.InvalidConfig) {
			config = "(not shown: it does not open with any known key)"
		}
		if conn.Config != nil {
			config = string(conn.Config)
		}
		facts(w, [][2]string{
			{"id", conn.ID},
			{"type", conn.ConnectorType},
			{"status", conn.Status},
			{"health", conn.Health.State},
			{"reason", or(conn.Health.Reason)},
			{"next probe", or(conn.Health.NextProbeAt)},
			{"last test", or(conn.LastTestAt)},
			{"created", conn.CreatedAt},
			{"updated", conn.UpdatedAt},
			{"config", config},
		}...)
		if conn.Test != nil {
			printTest(w, *conn.Test)
		}
	})
}

type connectionUpdate struct {
	connectionRef
	ConfigFile string `required:"" help:"File with the new config (JSON); '-' reads standard input." placeholder:"FILE"`
	Test       bool   `help:"Try the config first, and save it only if the test succeeds."`
}

// Run replaces the config.
func (c *connectionUpdate) Run(s *session) error {
	config, err := s.readConfig(c.ConfigFile)
	if err != nil {
		return err
	}
	o, actor, id, err := c.open(s, true)
	if err != nil {
		return err
	}
	conn, err := o.Connections.UpdateConfig(s.ctx, actor, id, config, c.Test)
	if err != nil {
		return err
	}
	return s.showConnection(conn)
}

type connectionTest struct{ connectionRef }

// Run tests the connection. A test that fails is exit code 1.
func (c *connectionTest) Run(s *session) error {
	o, actor, id, err := c.open(s, true)
	if err != nil {
		return err
	}
	result, err := o.Connections.Test(s.ctx, actor, id)
	if err != nil {
		return err
	}
	err = s.out.show(result, func(w io.Writer) {
		verdict := "the test succeeded"
		if !result.Success {
			verdict = "the test failed"
		}
		fmt.Fprintf(w, "%s (%d ms)\n", verdict, result.LatencyMS)
		printTest(w, result)
	})
	if err == nil && !result.Success {
		err = errReported
	}
	return err
}

type connectionEnable struct{ connectionRef }

// Run enables the connection.
func (c *connectionEnable) Run(s *session) error { return c.setEnabled(s, true) }

type connectionDisable struct{ connectionRef }

// Run disables the connection.
func (c *connectionDisable) Run(s *session) error { return c.setEnabled(s, false) }

func (r *connectionRef) setEnabled(s *session, enabled bool) error {
	// The answer has the config, for which the connector is asked.
	o, actor, id, err := r.open(s, s.out.json || s.out.lines)
	if err != nil {
		return err
	}
	conn, err := o.Connections.SetEnabled(s.ctx, actor, id, enabled)
	if err != nil {
		return err
	}
	return s.out.show(conn, func(w io.Writer) { fmt.Fprintf(w, "connection %s is %s\n", conn.ID, conn.Status) })
}

type connectionDecrypt struct{ connectionRef }

// Run prints the open config.
func (c *connectionDecrypt) Run(s *session) error {
	o, actor, id, err := c.open(s, false)
	if err != nil {
		return err
	}
	config, err := o.Connections.Decrypt(s.ctx, actor, id)
	if err != nil {
		return err
	}
	return s.out.document(config)
}
