package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/delivery/circuit"
	"github.com/orderport/orderport/host/internal/domain"
)

// sweep looks for due connections until the engine stops. It is what the
// guarantee rests on; everything else that wakes lanes only saves time.
func (e *Engine) sweep() {
	for {
		if err := errors.Join(e.giveBackStrays(), e.sweepOnce()); err != nil && !e.isStopping() {
			e.log.Error("sweep failed; it is repeated", "error", err)
		}
		select {
		case <-e.working.Done():
			return
		case <-time.After(jittered(e.o.Knobs.SweepEvery)):
		}
	}
}

func (e *Engine) sweepOnce() error {
	types := e.o.Registry.Types()
	if len(types) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.working, callTimeout)
	defer cancel()
	asked := time.Now()
	due, err := e.o.Store.DueConnections(ctx, types)
	if err != nil {
		return fmt.Errorf("look for due connections: %w", err)
	}
	now := time.Now()
	for _, conn := range due {
		switch {
		case conn.Health.State != domain.Down:
			e.look(conn.ID, lookOpts{row: &readRow{conn: conn, asked: asked}, suspects: true})
		case circuit.Due(conn.Health, now):
			e.startProbe(conn.ID)
		}
	}
	return nil
}

// startProbe probes a connection unless that is under way.
func (e *Engine) startProbe(id uuid.UUID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, under := e.probing[id]; under || e.stopping {
		return
	}
	e.probing[id] = struct{}{}
	e.loops.Go(func() {
		if err := e.probe(id); err != nil {
			e.log.Error("probe could not be made", "connection", id, "error", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.probing, id)
	})
}

// probe finds out whether a connection that is down works again. The row is
// read anew and the next probe planned before this one starts, so that of
// several hosts one probes: each login with a wrong password counts.
func (e *Engine) probe(id uuid.UUID) error {
	ctx, cancel := context.WithTimeout(e.working, callTimeout+e.o.Knobs.ProbeTimeout)
	defer cancel()
	conn, err := e.o.Store.ConnectionByID(ctx, id)
	if err != nil {
		return fmt.Errorf("read connection: %w", err)
	}
	health := conn.Health
	if conn.Status != domain.Active || !circuit.Due(health, time.Now()) {
		return nil
	}
	planned := circuit.Probing(health, time.Now().UTC(), rand.Float64())
	mine, err := e.o.Store.PlanProbe(ctx, id, conn.UpdatedAt, health, planned)
	if err != nil || !mine {
		return err
	}
	code, reason := e.tryConnection(ctx, conn)
	if e.isStopping() {
		return nil // it may have failed for that
	}
	now := time.Now().UTC()
	if code != "" {
		failed := circuit.ProbeFailed(health, code, reason, now, rand.Float64())
		if err := e.o.Store.SetHealth(ctx, id, conn.UpdatedAt, failed); err != nil {
			return fmt.Errorf("record probe: %w", err)
		}
		return nil
	}
	conn.Health = circuit.ProbeSucceeded(health, now)
	if err := e.o.Store.SetHealth(ctx, id, conn.UpdatedAt, conn.Health); err != nil {
		return fmt.Errorf("close circuit: %w", err)
	}
	e.o.Observer.CircuitMoved(conn.ConnectorType, domain.Healthy, "")
	e.log.Info("connection works again", "connection", id)
	e.look(id, lookOpts{row: &readRow{conn: conn, asked: time.Now()}, suspects: true})
	return nil
}

// tryConnection runs the connector's test. An empty code means success.
func (e *Engine) tryConnection(ctx context.Context, conn domain.Connection) (code port.Code, reason string) {
	t, err := e.target(ctx, conn, nil)
	if err != nil {
		return port.ConnectorUnavailable, err.Error()
	}
	if t.configErr != nil {
		return port.InvalidConfig, sealedReason(t.configErr)
	}
	slug, err := e.slugs.of(ctx, conn.OrgID)
	if err != nil {
		return port.Internal, "the organization could not be read"
	}
	ctx, cancel := context.WithTimeout(ctx, e.o.Knobs.ProbeTimeout)
	defer cancel()
	answer, err := t.port.TestConnection(ctx, &connectorv1.TestConnectionRequest{
		Connection: &connectorv1.Connection{Id: conn.ID.String(), OrgSlug: slug, Config: t.config},
	})
	switch {
	case ctx.Err() != nil:
		return port.Timeout, fmt.Sprintf("the test did not end within %s", e.o.Knobs.ProbeTimeout)
	case err != nil:
		return port.ConnectorUnavailable, clean(err.Error())
	case answer.GetSuccess():
		return "", ""
	}
	reason = answer.GetErrorMessage()
	if reason == "" {
		reason = answer.GetError().GetMessage()
	}
	return port.CodeOf(answer.GetError().GetCode()), clean(reason)
}

func sealedReason(err error) string {
	return clean("the stored config does not open: " + err.Error())
}

// jittered spreads what several hosts do at the same interval.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
