package storetest

import (
	"bytes"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/sdk/port"
)

var connectionTests = map[string]func(w *World){
	"a connection comes back as created": func(w *World) {
		got, err := w.S.Connection(w.Ctx, w.Org.ID, w.Conn.ID)
		w.must(err)
		same(w.T, got, w.Conn)
		got, err = w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		same(w.T, got, w.Conn)
	},
	"another organization does not see it": func(w *World) {
		other := w.NewOrg()
		_, err := w.S.Connection(w.Ctx, other.ID, w.Conn.ID)
		wantFault(w.T, err, fault.NotFound, "connection_not_found")
		_, err = w.S.UpdateConfig(w.Ctx, other.ID, w.Conn.ID, w.Conn.Sealed, w.audit(other.ID, "connection.update"))
		wantFault(w.T, err, fault.NotFound, "connection_not_found")
		_, err = w.S.SetConnectionStatus(w.Ctx, other.ID, w.Conn.ID, domain.Disabled, w.audit(other.ID, "connection.disable"))
		wantFault(w.T, err, fault.NotFound, "connection_not_found")
		wantFault(w.T, w.S.RecordTest(w.Ctx, other.ID, w.Conn.ID, true), fault.NotFound, "connection_not_found")
		list, err := w.S.ListConnections(w.Ctx, other.ID)
		w.must(err)
		want(w.T, "connections", len(list), 0)
	},
	"an organization has one active connection per type and any number of disabled ones": func(w *World) {
		twin := w.Conn
		twin.ID = uuid.New()
		err := w.S.CreateConnection(w.Ctx, twin, w.audit(w.Org.ID, "connection.create"))
		wantFault(w.T, err, fault.Conflict, "connection_exists")
		for range 2 {
			twin.ID, twin.Status = uuid.New(), domain.Disabled
			w.must(w.S.CreateConnection(w.Ctx, twin, w.audit(w.Org.ID, "connection.create")))
		}
		_, err = w.S.SetConnectionStatus(w.Ctx, w.Org.ID, twin.ID, domain.Active, w.audit(w.Org.ID, "connection.enable"))
		wantFault(w.T, err, fault.Conflict, "connection_exists")
		list, err := w.S.ListConnections(w.Ctx, w.Org.ID)
		w.must(err)
		want(w.T, "connections", len(list), 3)
	},
	"a connection of an unknown organization is refused": func(w *World) {
		c := w.Conn
		c.ID, c.OrgID = uuid.New(), uuid.New()
		err := w.S.CreateConnection(w.Ctx, c, w.audit(w.Org.ID, "connection.create"))
		wantFault(w.T, err, fault.NotFound, "organization_not_found")
	},
	"the active connection is found by type, or as the only one": func(w *World) {
		for _, kind := range []string{connectorType, ""} {
			c, err := w.S.ActiveConnection(w.Ctx, w.Org.ID, kind)
			w.must(err)
			want(w.T, "connection", c.ID, w.Conn.ID)
		}
		_, err := w.S.ActiveConnection(w.Ctx, w.Org.ID, "SAP_RFC")
		wantFault(w.T, err, fault.NotFound, "connection_not_found")
		sap := w.NewConn(w.Org.ID, "SAP_RFC")
		_, err = w.S.ActiveConnection(w.Ctx, w.Org.ID, "")
		wantFault(w.T, err, fault.Invalid, "connector_type_required")
		c, err := w.S.ActiveConnection(w.Ctx, w.Org.ID, "SAP_RFC")
		w.must(err)
		want(w.T, "connection", c.ID, sap.ID)
	},
	"a new config changes updated_at and resets health": func(w *World) {
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{State: domain.Down, Code: port.Unreachable, Reason: "no route"}))
		sealed := domain.SealedConfig{Blob: bytes.Repeat([]byte{9}, 48), Version: 1, KeyID: "key-2"}
		got, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, sealed, w.audit(w.Org.ID, "connection.update"))
		w.must(err)
		same(w.T, got.Sealed, sealed)
		want(w.T, "health", got.Health, domain.Health{State: domain.HealthUnknown})
		want(w.T, "updated later", got.UpdatedAt.After(w.Conn.UpdatedAt), true)
		read, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		same(w.T, read, got)
		want(w.T, "audit entries", w.countAudit("connection.update"), 1)
	},
	"updated_at grows with every change, however quickly they follow": func(w *World) {
		last := w.Conn.UpdatedAt
		for range 20 {
			c, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, w.Conn.Sealed, w.audit(w.Org.ID, "connection.update"))
			w.must(err)
			if !c.UpdatedAt.After(last) {
				w.T.Fatalf("updated_at went from %v to %v", last, c.UpdatedAt)
			}
			last = c.UpdatedAt
		}
	},
	"enabling and disabling may be repeated": func(w *World) {
		for _, status := range []domain.ConnectionStatus{domain.Disabled, domain.Disabled, domain.Active, domain.Active} {
			c, err := w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, status, w.audit(w.Org.ID, "connection.status"))
			w.must(err)
			want(w.T, "status", c.Status, status)
		}
	},
	"enabling resets health": func(w *World) {
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{State: domain.Down, Failures: 3}))
		c, err := w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, domain.Active, w.audit(w.Org.ID, "connection.enable"))
		w.must(err)
		want(w.T, "health", c.Health, domain.Health{State: domain.HealthUnknown})
	},
	"health is kept whole and leaves updated_at alone": func(w *World) {
		since, probe := now(), now().Add(time.Minute)
		h := domain.Health{State: domain.Down, Code: port.AuthenticationFailed, Reason: "wrong password", Since: &since, NextProbeAt: &probe, Failures: 2}
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, h))
		c, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		same(w.T, c.Health, h)
		want(w.T, "updated_at", c.UpdatedAt, w.Conn.UpdatedAt)
	},
	"health that was seen before an update is dropped": func(w *World) {
		_, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, w.Conn.Sealed, w.audit(w.Org.ID, "connection.update"))
		w.must(err)
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{State: domain.Down}))
		c, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		want(w.T, "health", c.Health.State, domain.HealthUnknown)
	},
	"one of several hosts plans the next probe": func(w *World) {
		first, later := now().Add(-time.Second), now().Add(time.Minute)
		seen := domain.Health{State: domain.Down, Code: port.Unreachable, Reason: "gone", NextProbeAt: &first}
		planned := seen
		planned.NextProbeAt = &later
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, seen))
		for _, want := range []bool{true, false} {
			mine, err := w.S.PlanProbe(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, seen, planned)
			w.must(err)
			if mine != want {
				w.T.Errorf("the probe is ours: %t, want %t", mine, want)
			}
		}
		c, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		same(w.T, c.Health, planned)
	},
	"a probe that was never planned can be": func(w *World) {
		later := now().Add(time.Minute)
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{State: domain.Down}))
		mine, err := w.S.PlanProbe(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{}, domain.Health{NextProbeAt: &later})
		w.must(err)
		want(w.T, "ours", mine, true)
	},
	"nobody probes what works again or was changed": func(w *World) {
		later := now().Add(time.Minute)
		planned := domain.Health{NextProbeAt: &later}
		mine, err := w.S.PlanProbe(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{}, planned)
		w.must(err)
		want(w.T, "ours though it is not down", mine, false)
		c, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, w.Conn.Sealed, w.audit(w.Org.ID, "connection.update"))
		w.must(err)
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, c.UpdatedAt, domain.Health{State: domain.Down}))
		mine, err = w.S.PlanProbe(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{}, planned)
		w.must(err)
		want(w.T, "ours though it was changed", mine, false)
	},
	"a test sets last_test_at, and a successful one closes the circuit": func(w *World) {
		w.must(w.S.SetHealth(w.Ctx, w.Conn.ID, w.Conn.UpdatedAt, domain.Health{State: domain.Down, Failures: 3, Reason: "gone"}))
		w.must(w.S.RecordTest(w.Ctx, w.Org.ID, w.Conn.ID, false))
		failed, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		want(w.T, "tested", failed.LastTestAt != nil, true)
		want(w.T, "health", failed.Health.State, domain.Down)
		want(w.T, "updated later", failed.UpdatedAt.After(w.Conn.UpdatedAt), true)
		w.must(w.S.RecordTest(w.Ctx, w.Org.ID, w.Conn.ID, true))
		passed, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		want(w.T, "health", passed.Health.State, domain.Healthy)
		want(w.T, "failures", passed.Health.Failures, 0)
		want(w.T, "reason", passed.Health.Reason, "")
		want(w.T, "since", passed.Health.Since != nil, true)
	},
	"active connections are listed over all organizations by type": func(w *World) {
		other := w.NewOrg()
		theirs := w.NewConn(other.ID, connectorType)
		w.NewConn(other.ID, "SAP_RFC")
		off := w.NewConn(w.NewOrg().ID, connectorType)
		_, err := w.S.SetConnectionStatus(w.Ctx, off.OrgID, off.ID, domain.Disabled, w.audit(off.OrgID, "connection.disable"))
		w.must(err)
		list, err := w.S.ActiveConnections(w.Ctx, []string{connectorType})
		w.must(err)
		ids := map[uuid.UUID]bool{}
		for _, c := range list {
			ids[c.ID] = true
		}
		same(w.T, ids, map[uuid.UUID]bool{w.Conn.ID: true, theirs.ID: true})
		list, err = w.S.ActiveConnections(w.Ctx, nil)
		w.must(err)
		want(w.T, "of no type", len(list), 0)
	},
	"re-sealing replaces a blob only if it is still the old one": func(w *World) {
		list, err := w.S.ConnectionsToReseal(w.Ctx, "key-2", uuid.Nil, 10)
		w.must(err)
		want(w.T, "to re-seal", len(list), 1)
		sealed := domain.SealedConfig{Blob: bytes.Repeat([]byte{9}, 48), Version: 1, KeyID: "key-2"}
		done, err := w.S.Reseal(w.Ctx, w.Conn.ID, []byte("something else"), sealed)
		w.must(err)
		want(w.T, "replaced another blob", done, false)
		done, err = w.S.Reseal(w.Ctx, w.Conn.ID, w.Conn.Sealed.Blob, sealed)
		w.must(err)
		want(w.T, "replaced", done, true)
		c, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		same(w.T, c.Sealed, sealed)
		want(w.T, "updated_at", c.UpdatedAt, w.Conn.UpdatedAt)
		list, err = w.S.ConnectionsToReseal(w.Ctx, "key-2", uuid.Nil, 10)
		w.must(err)
		want(w.T, "left to re-seal", len(list), 0)
	},
	"connections to re-seal come in pages by id": func(w *World) {
		for range 4 {
			w.NewConn(w.NewOrg().ID, connectorType)
		}
		seen, after := 0, uuid.Nil
		for {
			list, err := w.S.ConnectionsToReseal(w.Ctx, "key-2", after, 2)
			w.must(err)
			if len(list) == 0 {
				break
			}
			for _, c := range list {
				want(w.T, "grows", bytes.Compare(c.ID[:], after[:]), 1)
				after = c.ID
				seen++
			}
		}
		want(w.T, "connections", seen, 5)
	},
}
