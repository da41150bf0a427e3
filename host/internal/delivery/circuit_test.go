package delivery_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// failing makes every export fail with code until it is mended.
func failing(p *erp, code connectorv1.ErrorCode) (mended *atomic.Bool) {
	mended = &atomic.Bool{}
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		if !mended.Load() {
			return &connectorv1.ExportResult{Error: failure(code, true, "the target says no")}, nil
		}
		return p.honest(ctx, start, sink)
	}
	p.test = func(context.Context) *connectorv1.TestConnectionResponse {
		if !mended.Load() {
			return &connectorv1.TestConnectionResponse{Error: failure(code, true, "the target says no"), ErrorMessage: "the target says no"}
		}
		return &connectorv1.TestConnectionResponse{Success: true}
	}
	return mended
}

func (w *world) health(c domain.Connection) domain.Health {
	w.t.Helper()
	got, err := w.store.ConnectionByID(context.Background(), c.ID)
	must(w.t, err)
	return got.Health
}

func TestAnERPThatIsDownMakesExportsWaitAndAProbeSetsThemGoing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		mended := failing(p, connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE)
		conn := w.connection()
		exports := w.accept(conn, 50)
		w.run(w.options(registry{erpType: p}))
		eventually(t, "the circuit is open", func() bool { return w.health(conn).State == domain.Down })
		down := w.health(conn)
		if down.Code != port.Unreachable || down.Reason != "the target says no" || down.NextProbeAt == nil {
			t.Errorf("health %+v", down)
		}
		attempts := w.attemptsInAll(exports)
		w.sweepsPass(5)
		if more := w.attemptsInAll(exports); more != attempts {
			t.Errorf("%d attempts were made while the circuit is open", more-attempts)
		}
		mended.Store(true)
		for _, got := range w.await(domain.Sent, exports...) { // the probe comes after 5 s
			if got.FailureCount != 0 {
				t.Errorf("the outage counted as %d failures", got.FailureCount)
			}
		}
		eventually(t, "it is healthy again", func() bool {
			h := w.health(conn)
			return h.State == domain.Healthy && h.Failures == 0
		})
		p.verify(t, 1, ids(exports)...)
	})
}

func (w *world) attemptsInAll(exports []domain.Export) int {
	n := 0
	for _, e := range exports {
		n += w.get(e).AttemptCount
	}
	return n
}

func TestAWrongPasswordIsTriedOnceHoweverManyOrdersWait(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		failing(p, connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED)
		conn := w.connection()
		exports := w.accept(conn, 50)
		e := w.run(w.options(registry{erpType: p}))
		eventually(t, "the circuit is open", func() bool { return w.health(conn).State == domain.Down })
		for range 5 {
			e.Nudge(conn.ID)
			w.sweepsPass(1)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if logins := len(p.attempts) + p.probes; logins != 1 {
			t.Errorf("there were %d logins with a wrong password (%d exports wait)", logins, len(exports))
		}
		if next := w.health(conn).NextProbeAt; next == nil || time.Until(*next) < 10*time.Minute {
			t.Errorf("the next probe is at %v", next)
		}
	})
}

func TestATestByAPersonClosesTheCircuit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		mended := failing(p, connectorv1.ErrorCode_ERROR_CODE_HOST_KEY_MISMATCH)
		conn := w.connection()
		exports := w.accept(conn, 5)
		e := w.run(w.options(registry{erpType: p}))
		eventually(t, "the circuit is open", func() bool { return w.health(conn).State == domain.Down })
		mended.Store(true)
		must(t, w.store.RecordTest(t.Context(), conn.OrgID, conn.ID, true))
		e.Nudge(conn.ID)
		w.await(domain.Sent, exports...)
	})
}

func TestANewConfigClosesTheCircuit(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		mended := failing(p, connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED)
		conn := w.connection()
		exports := w.accept(conn, 5)
		w.run(w.options(registry{erpType: p}))
		eventually(t, "the circuit is open", func() bool { return w.health(conn).State == domain.Down })
		mended.Store(true)
		sealed := conn.Sealed
		sealed.Blob = append([]byte{1}, sealed.Blob...)
		_, err := w.store.UpdateConfig(t.Context(), conn.OrgID, conn.ID, sealed, w.audit("connection.update"))
		must(t, err)
		w.await(domain.Sent, exports...)
	})
}

func TestAConfigThatDoesNotOpenStopsItsConnectionOnly(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		bad, good := w.connection(), w.connection()
		o := w.options(registry{erpType: p})
		o.OpenConfig = func(c domain.Connection) ([]byte, error) {
			if c.ID == bad.ID {
				return nil, errors.New("sealed with a key that is not known here")
			}
			return []byte("{}"), nil
		}
		stuck, exports := w.accept(bad, 3), w.accept(good, 3)
		w.run(o)
		w.await(domain.Sent, exports...)
		eventually(t, "the bad connection is down", func() bool { return w.health(bad).State == domain.Down })
		if h := w.health(bad); h.Code != port.InvalidConfig || h.Reason == "" {
			t.Errorf("health %+v", h)
		}
		if n := w.attemptsInAll(stuck); n != 0 {
			t.Errorf("%d attempts were made without a config", n)
		}
	})
}

func TestTwoFailuresOfTheNetworkDoNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		if start.GetAttempt() <= 2 {
			return &connectorv1.ExportResult{Error: failure(connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, true, "reset")}, nil
		}
		return p.honest(ctx, start, sink)
	}
	conn := w.connection()
	exports := w.accept(conn, 1)
	w.run(w.options(registry{erpType: p}))
	got := w.await(domain.Sent, exports...)[0]
	if w.outcomes(got) != "DEFERRED DEFERRED DELIVERED" {
		t.Errorf("attempts %s", w.outcomes(got))
	}
	eventually(t, "it is healthy", func() bool { return w.health(conn).State == domain.Healthy })
}

// together is a store whose first reads of a connection wait for each other.
type together struct {
	store.Store
	once  sync.Once
	reads *sync.WaitGroup
}

func (s *together) ConnectionByID(ctx context.Context, id uuid.UUID) (domain.Connection, error) {
	conn, err := s.Store.ConnectionByID(ctx, id)
	s.once.Do(func() {
		s.reads.Done()
		s.reads.Wait()
	})
	return conn, err
}

// TestOfSeveralHostsOneProbes has two hosts read at the same moment that a probe
// is due: with a wrong password, each probe is a login that may lock an account.
func TestOfSeveralHostsOneProbes(t *testing.T) {
	t.Parallel()
	w, open := onPostgres(t)
	p := newERP()
	failing(p, connectorv1.ErrorCode_ERROR_CODE_AUTHENTICATION_FAILED)
	conn := w.connection()
	w.accept(conn, 1)
	due := time.Now().Add(-time.Second)
	must(t, w.store.SetHealth(t.Context(), conn.ID, conn.UpdatedAt,
		domain.Health{State: domain.Down, Code: port.AuthenticationFailed, NextProbeAt: &due}))
	var reads sync.WaitGroup
	reads.Add(2)
	for range 2 {
		o := w.options(registry{erpType: p})
		o.Store = sweptStore{&together{Store: open(), reads: &reads}, &w.sweeps}
		w.run(o)
	}
	reads.Wait()
	eventually(t, "the failure is recorded", func() bool { return w.health(conn).Failures == 1 })
	w.sweepsPass(6)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.probes != 1 {
		t.Errorf("%d probes were made at once", p.probes)
	}
}
