package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// CheckStatus is the verdict of a check.
type CheckStatus string

// The verdicts.
const (
	CheckOK   CheckStatus = "ok"
	CheckWarn CheckStatus = "warn" // works, but somebody should look
	CheckFail CheckStatus = "fail" // something does not work
)

// Check is one thing that was looked at.
type Check struct {
	Name    string      `json:"name"`
	Status  CheckStatus `json:"status"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"` // what to do
}

// Failed makes a check of an error, with its hint.
func Failed(name string, err error) Check {
	f := fault.From(err)
	message := f.Message
	switch {
	case f.Kind == fault.Internal:
		message = err.Error()
	case f.Err != nil:
		message += ": " + f.Err.Error()
	}
	return Check{Name: name, Status: CheckFail, Message: message, Hint: f.Hint}
}

// Doctor looks at what the services stand on. Each method makes the checks of
// one part; one that fails does not keep the others from looking.
type Doctor struct {
	Store    store.Store
	Vault    Vault
	liveness liveness
}

// NewDoctor returns a Doctor for the services' own store and keys.
func NewDoctor(d Deps) *Doctor {
	return &Doctor{Store: d.Store, Vault: vault{d.Keyring}, liveness: liveness(d.HostDeadAfter)}
}

// Connections checks that every sealed config opens, and how the targets are.
func (d *Doctor) Connections(ctx context.Context) []Check {
	orgs, err := d.Store.ListOrganizations(ctx)
	if err != nil {
		return []Check{Failed("connections", err)}
	}
	var checks []Check
	open, all := 0, 0
	for _, org := range orgs {
		found, err := d.Store.ListConnections(ctx, org.ID)
		if err != nil {
			return append(checks, Failed("connections", err))
		}
		for _, conn := range found {
			all++
			if _, err := d.Vault.Open(conn); err != nil {
				checks = append(checks, sealedShut(org, conn, err))
			} else {
				open++
			}
			if conn.Status == domain.Active && conn.Health.State == domain.Down {
				checks = append(checks, down(org, conn))
			}
		}
	}
	if open < all {
		return checks // each says which config does not open
	}
	keys := Check{Name: "keys", Status: CheckOK, Message: fmt.Sprintf("%d of %d sealed configs open", open, all)}
	return append([]Check{keys}, checks...)
}

func sealedShut(org domain.Organization, conn domain.Connection, err error) Check {
	f := doesNotOpen(err)
	check := Check{
		Name: "keys", Status: CheckFail, Hint: f.Hint,
		Message: fmt.Sprintf("connection %s (%s of %s): %s", conn.ID, conn.ConnectorType, org.Slug, err),
	}
	if conn.Status == domain.Disabled {
		check.Status = CheckWarn
	}
	return check
}

func down(org domain.Organization, conn domain.Connection) Check {
	message := fmt.Sprintf("connection %s (%s of %s) is down: %s: %s", conn.ID, conn.ConnectorType, org.Slug, conn.Health.Code, conn.Health.Reason)
	if next := conn.Health.NextProbeAt; next != nil {
		message += fmt.Sprintf("; next probe at %s", next.UTC().Format(time.RFC3339))
	}
	return Check{
		Name: "connections", Status: CheckFail, Message: message,
		Hint: fmt.Sprintf("its exports wait and nothing is lost; `orderport connection test %s` tries it at once", conn.ID),
	}
}

// Hosts checks that some host runs, and that the clocks agree.
func (d *Doctor) Hosts(ctx context.Context) []Check {
	hosts, err := d.Store.ListHosts(ctx)
	if err != nil {
		return []Check{Failed("hosts", err)}
	}
	var checks []Check
	for _, host := range hosts {
		if host.StoppedAt != nil {
			continue
		}
		age := now().Sub(host.HeartbeatAt)
		switch {
		case age < -clockTolerance:
			checks = append(checks, Check{
				Name: "hosts", Status: CheckWarn, Hint: "set the clocks of both machines (NTP)",
				Message: fmt.Sprintf("the database's clock is %s ahead of this machine's", (-age).Round(time.Second)),
			})
		case d.liveness.lost(host):
			checks = append(checks, Check{
				Name: "hosts", Status: CheckWarn, Hint: "a running host takes its exports over",
				Message: fmt.Sprintf("host %s has been silent for %s", host.Name, age.Round(time.Second)),
			})
		}
	}
	alive := len(d.liveness.running(hosts))
	if alive == 0 {
		return append(checks, Check{
			Name: "hosts", Status: CheckWarn, Message: "no host is running, so nothing is delivered", Hint: "start one: `orderport serve`",
		})
	}
	return append(checks, Check{Name: "hosts", Status: CheckOK, Message: fmt.Sprintf("%d running", alive)})
}

// Connectors checks the binaries of the plugin directory, and that there is
// one for every active connection.
func (d *Doctor) Connectors(ctx context.Context, registry connector.Registry) []Check {
	var checks []Check
	for _, status := range registry.Status() {
		checks = append(checks, checkConnector(status))
	}
	if len(checks) == 0 {
		checks = append(checks, Check{
			Name: "connectors", Status: CheckWarn, Message: "there is no connector in the plugin directory",
			Hint: "set ORDERPORT_PLUGIN_DIR to the directory with the connectors",
		})
	}
	orgs, err := d.Store.ListOrganizations(ctx)
	if err != nil {
		return append(checks, Failed("connectors", err))
	}
	for _, org := range orgs {
		checks = append(checks, d.unserved(ctx, registry, org)...)
	}
	return checks
}

func checkConnector(status connector.Status) Check {
	check := Check{Name: "connectors", Status: CheckOK, Message: fmt.Sprintf("%s: %s %s is ready", status.Binary, status.Type, status.Version)}
	if status.State != connector.Ready {
		check.Status = CheckFail
		check.Message = fmt.Sprintf("%s is %s: %s", status.Binary, status.State, status.Reason)
		if !status.Trusted {
			check.Hint = "if you trust this file: `orderport connector trust`"
		}
	}
	return check
}

func (d *Doctor) unserved(ctx context.Context, registry connector.Registry, org domain.Organization) []Check {
	found, err := d.Store.ListConnections(ctx, org.ID)
	if err != nil {
		return []Check{Failed("connectors", err)}
	}
	var checks []Check
	for _, conn := range found {
		if conn.Status != domain.Active {
			continue
		}
		if _, err := registry.Get(conn.ConnectorType); err != nil {
			checks = append(checks, Check{
				Name: "connectors", Status: CheckFail,
				Message: fmt.Sprintf("connection %s of %s has no connector: %s", conn.ID, org.Slug, err),
				Hint:    "put the connector into the plugin directory and trust it; its exports wait until then",
			})
		}
	}
	return checks
}

// Unknown counts exports that wait for an operator's decision.
func (d *Doctor) Unknown(ctx context.Context) []Check {
	orgs, err := d.Store.ListOrganizations(ctx)
	if err != nil {
		return []Check{Failed("exports", err)}
	}
	var checks []Check
	for _, org := range orgs {
		if id, n := d.unresolved(ctx, org.ID); n > 0 {
			checks = append(checks, Check{
				Name: "exports", Status: CheckWarn,
				Message: fmt.Sprintf("%d recent exports of %s failed with an unknown outcome, such as %s", n, org.Slug, id),
				Hint:    "look for the order in the ERP, then `orderport export resolve ID --sent` or `--failed`",
			})
		}
	}
	return checks
}

func (d *Doctor) unresolved(ctx context.Context, orgID uuid.UUID) (example uuid.UUID, n int) {
	exports, _, err := d.Store.ListExports(ctx, orgID, store.ExportFilter{Status: domain.Failed}, store.Page{Limit: MaxPage})
	if err != nil {
		return example, 0
	}
	for _, export := range exports {
		if export.Error != nil && export.Error.Code == "OUTCOME_UNKNOWN" {
			example, n = export.ID, n+1
		}
	}
	return example, n
}
