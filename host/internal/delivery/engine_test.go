package delivery_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery"
	"github.com/orderport/orderport/host/internal/domain"
)

func TestAcceptedOrdersReachTheERPOnceAndAreSent(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		e := w.run(w.options(registry{erpType: p}))
		conn := w.connection()
		exports := w.accept(conn, 100)
		e.Nudge(conn.ID)
		for _, got := range w.await(domain.Sent, exports...) {
			if got.StorageKey == "" || got.PayloadSize == 0 || got.ExternalRef != "ref-"+got.ID.String() || got.AttemptCount != 1 {
				t.Errorf("export is recorded as %+v", got)
			}
		}
		p.verify(t, 1, ids(exports)...)
	})
}

func TestAnOrderIsFoundWithoutAnyNudge(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		exports := w.accept(w.connection(), 1)
		w.run(w.options(registry{erpType: p}))
		w.await(domain.Sent, exports...)
	})
}

func TestAnERPThatAnswersAtOnceMakesTheExportAcked(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		result, err := p.honest(ctx, start, sink)
		result.ErpOrderId = "SO-1"
		return result, err
	}
	exports := w.accept(w.connection(), 1)
	w.run(w.options(registry{erpType: p}))
	if got := w.await(domain.Acked, exports...)[0]; got.ERPOrderID != "SO-1" {
		t.Errorf("the ERP's order number is %q", got.ERPOrderID)
	}
}

func TestAnErrorThatMayPassIsRetriedUntilItHas(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			if start.GetAttempt() < 3 {
				return &connectorv1.ExportResult{Error: failure(connectorv1.ErrorCode_ERROR_CODE_CONFLICT, true, "locked")}, nil
			}
			return p.honest(ctx, start, sink)
		}
		exports := w.accept(w.connection(), 1)
		w.run(w.options(registry{erpType: p}))
		got := w.await(domain.Sent, exports...)[0]
		if got.FailureCount != 2 || w.outcomes(got) != "RETRY RETRY DELIVERED" {
			t.Errorf("%d failures, attempts %s", got.FailureCount, w.outcomes(got))
		}
		p.verify(t, 1, got.ID)
	})
}

func TestAnErrorThatDoesNotPassEndsTheExport(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	p.deliver = func(context.Context, *connectorv1.ExportStart, connector.Sink) (*connectorv1.ExportResult, error) {
		return &connectorv1.ExportResult{Error: failure(connectorv1.ErrorCode_ERROR_CODE_INTERNAL, true, "bug")}, nil
	}
	o := w.options(registry{erpType: p})
	o.Knobs.MaxFailures = 3
	exports := w.accept(w.connection(), 1)
	w.run(o)
	got := w.await(domain.Failed, exports...)[0]
	if got.AttemptCount != 3 || got.Error.Code != port.Internal || got.Error.Retryable {
		t.Errorf("after %d attempts: %+v", got.AttemptCount, got.Error)
	}
}

func TestADeadlineIsAnUnknownOutcomeThatAResumableConnectorFindsOut(t *testing.T) {
	t.Parallel()
	onPostgres := func(t testing.TB) *world { w, _ := onPostgres(t); return w }
	for name, open := range map[string]func(testing.TB) *world{"postgres": onPostgres, "sqlite": onSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lengthening(t, 300*time.Millisecond, func(timeout time.Duration) bool {
				w := open(t)
				p := newERP()
				reached := dying(p, afterVisible, hang) // it gets there, but the answer does not
				o := w.options(registry{erpType: p})
				o.Knobs.AttemptTimeout = timeout
				exports := w.accept(w.connection(), 1)
				w.run(o)
				if !<-reached {
					return false
				}
				got := w.await(domain.Sent, exports...)[0]
				if got.FailureCount != 1 || w.outcomes(got) != "LOST DELIVERED" {
					t.Errorf("%d failures, attempts %s", got.FailureCount, w.outcomes(got))
				}
				p.verify(t, 1, got.ID)
				return true
			})
		})
	}
}

func TestAConnectorThatCannotResumeIsNotRunAgainAfterAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP(connectorv1.Capability_CAPABILITY_ACKS)
	p.deliver = func(context.Context, *connectorv1.ExportStart, connector.Sink) (*connectorv1.ExportResult, error) {
		return nil, &connector.CrashError{Type: erpType, Reason: "signal 9"}
	}
	exports := w.accept(w.connection(), 1)
	w.run(w.options(registry{erpType: p}))
	got := w.await(domain.Failed, exports...)[0]
	if got.Error.Code != port.OutcomeUnknown || got.Error.Details["last_code"] != "CONNECTOR_CRASHED" {
		t.Errorf("error %+v", got.Error)
	}
	w.sweepsPass(4)
	if n := p.attemptsOf(got.ID); n != 1 {
		t.Errorf("it was run %d times", n)
	}
}

func TestAnExportThatKillsItsConnectorHarmsNoOther(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		conn := w.connection()
		exports := w.accept(conn, 20)
		poison := exports[7]
		var process atomic.Pointer[chan struct{}] // closed when the process dies
		fresh := make(chan struct{})
		process.Store(&fresh)
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			died := &connector.CrashError{Type: erpType, Reason: "signal 11"}
			if start.GetExportId() == poison.ID.String() {
				if !isAlone(ctx) {
					next := make(chan struct{})
					close(*process.Swap(&next))
				}
				return nil, died
			}
			if isAlone(ctx) {
				return p.honest(ctx, start, sink)
			}
			mine := *process.Load()
			select { // long enough under way to die with the poisoned one
			case <-mine:
				return nil, died
			case <-time.After(50 * time.Millisecond):
				return p.honest(ctx, start, sink)
			}
		}
		w.run(w.options(registry{erpType: p}))
		innocent := append(append([]domain.Export{}, exports[:7]...), exports[8:]...)
		for _, got := range w.await(domain.Sent, innocent...) {
			if got.FailureCount != 0 || got.CrashCount > 1 {
				t.Errorf("a neighbour was held to account: %d failures, %d crashes", got.FailureCount, got.CrashCount)
			}
		}
		got := w.await(domain.Failed, poison)[0]
		if got.Error.Code != port.ConnectorCrashed || got.CrashCount != 4 {
			t.Errorf("the poisoned one ended with %+v after %d crashes", got.Error, got.CrashCount)
		}
		p.verify(t, 1, ids(innocent)...)
		p.verify(t, 0, poison.ID)
	})
}

func TestWithoutAProcessExportsWaitAndNothingIsCounted(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	var ready atomic.Bool
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		if !ready.Load() {
			return nil, &connector.UnavailableError{Type: erpType, Reason: "backoff"}
		}
		return p.honest(ctx, start, sink)
	}
	exports := w.accept(w.connection(), 5)
	w.run(w.options(registry{erpType: p}))
	eventually(t, "an attempt was deferred", func() bool { return w.get(exports[0]).Error != nil })
	ready.Store(true)
	for _, got := range w.await(domain.Sent, exports...) {
		if got.FailureCount != 0 {
			t.Errorf("%d failures were counted", got.FailureCount)
		}
	}
}

func TestADisabledConnectionsExportsWaitUntilItIsEnabled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		conn := w.connection()
		exports := w.accept(conn, 3)
		_, err := w.store.SetConnectionStatus(t.Context(), conn.OrgID, conn.ID, domain.Disabled, w.audit("connection.disable"))
		must(t, err)
		e := w.run(w.options(registry{erpType: p}))
		e.Nudge(conn.ID)
		w.sweepsPass(4)
		if got := w.get(exports[0]); got.AttemptCount != 0 {
			t.Fatal("an export of a disabled connection was run")
		}
		_, err = w.store.SetConnectionStatus(t.Context(), conn.OrgID, conn.ID, domain.Active, w.audit("connection.enable"))
		must(t, err)
		w.await(domain.Sent, exports...)
	})
}

func TestAnOrderThatWasAcceptedAfterAChangeIsDeliveredByTheNewConfig(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		used := make(map[string]int) // by export: the length of the config
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			p.mu.Lock()
			used[start.GetExportId()] = len(start.GetConnection().GetConfig())
			p.mu.Unlock()
			return p.honest(ctx, start, sink)
		}
		conn := w.connection()
		o := w.options(registry{erpType: p})
		o.OpenConfig = func(c domain.Connection) ([]byte, error) { return c.Sealed.Blob, nil }
		e := w.run(o)
		sealed := conn.Sealed
		for range 5 {
			sealed.Blob = append([]byte{1}, sealed.Blob...)
			_, err := w.store.UpdateConfig(t.Context(), conn.OrgID, conn.ID, sealed, w.audit("connection.update"))
			must(t, err)
			exports := w.accept(conn, 3)
			e.Nudge(conn.ID)
			for _, got := range w.await(domain.Sent, exports...) {
				p.mu.Lock()
				if n := used[got.ID.String()]; n != len(sealed.Blob) {
					t.Errorf("the config has %d bytes, and one of %d was used", len(sealed.Blob), n)
				}
				p.mu.Unlock()
			}
		}
	})
}

func TestAFormatThatTheConnectorDoesNotWriteIsFinal(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	p.describe.ExportFormatVersions = []string{"orderflow_export_json_v9"}
	exports := w.accept(w.connection(), 1)
	w.run(w.options(registry{erpType: p}))
	if got := w.await(domain.Failed, exports...)[0]; got.Error.Code != port.Unimplemented {
		t.Errorf("error %+v", got.Error)
	}
}

func TestABadFileNameIsRefused(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	refused := make(chan error, 1)
	p.deliver = func(ctx context.Context, _ *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		_, err := sink.StorePayload(ctx, "../../etc/passwd", []byte("x"))
		refused <- err
		return &connectorv1.ExportResult{Error: failure(connectorv1.ErrorCode_ERROR_CODE_INTERNAL, false, "refused")}, nil
	}
	exports := w.accept(w.connection(), 1)
	w.run(w.options(registry{erpType: p}))
	w.await(domain.Failed, exports...)
	if err := <-refused; err == nil {
		t.Error("a path out of the folder was stored")
	}
}

func TestIdleConnectionsCostNothing(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	o := w.options(registry{erpType: p})
	o.Knobs.Linger = 50 * time.Millisecond
	connections := make([]domain.Connection, 100)
	for i := range connections {
		connections[i] = w.connection()
	}
	before := runtime.NumGoroutine()
	e := w.run(o)
	var exports []domain.Export
	for _, conn := range connections[:50] {
		exports = append(exports, w.accept(conn, 1)...)
		e.Nudge(conn.ID)
	}
	w.await(domain.Sent, exports...)
	eventually(t, "all lanes have ended", func() bool { return e.Stats() == delivery.Stats{} })
	// Other tests run at the same time, so this is a bound, not a count.
	if after := runtime.NumGoroutine(); after > before+500 {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestAHangingConnectionLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		hanging, other := w.connection(), w.connection()
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			if start.GetConnection().GetId() == hanging.ID.String() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return p.honest(ctx, start, sink)
		}
		o := w.options(registry{erpType: p})
		o.Knobs.GlobalConcurrency = 8
		must(t, w.store.SetHealth(t.Context(), hanging.ID, hanging.UpdatedAt, domain.Health{State: domain.Healthy}))
		stuck := w.accept(hanging, 50)
		e := w.run(o)
		eventually(t, "the hanging connection holds what it gets", func() bool { return e.Stats().Running >= 6 })
		exports := w.accept(other, 100)
		e.Nudge(other.ID)
		w.await(domain.Sent, exports...)
		for _, got := range stuck {
			if w.get(got).Status != domain.Pending {
				t.Error("a hanging export has ended")
			}
		}
	})
}

func TestTheConnectorsBoundsAreKept(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	p.describe.Limits = &connectorv1.Limits{MaxInFlightPerConnection: 3, MaxInFlight: 4}
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		<-time.After(5 * time.Millisecond) // the ERP works
		return p.honest(ctx, start, sink)
	}
	e := w.run(w.options(registry{erpType: p}))
	var exports []domain.Export
	for range 3 {
		conn := w.connection()
		exports = append(exports, w.accept(conn, 20)...)
		e.Nudge(conn.ID)
	}
	w.await(domain.Sent, exports...)
	p.verify(t, 1, ids(exports)...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peak > 4 {
		t.Errorf("%d exports ran at once, the connector allows 4", p.peak)
	}
}
