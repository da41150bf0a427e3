package delivery

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// run is one attempt of one export by this host.
type run struct {
	export  domain.Export
	order   []byte
	host    *incarnation // whose lease it holds
	target  *target
	port    connector.Port // the target's, or one that runs this export alone
	claimed time.Time      // before the claim was asked for

	atTarget time.Duration // how long the connector took, without the host's part
}

// attempt runs an export once, records how that ended, and returns what
// follows for the lane.
func (e *Engine) attempt(r *run) decision {
	defer e.leases.release(r.export)
	started := time.Now()
	life, end := r.host.life(r.target.caps.fenced)
	defer end()
	ctx, cancel := context.WithDeadline(life, r.claimed.Add(e.o.Knobs.AttemptTimeout))
	defer cancel()
	s := &sink{e: e, run: r, checkpoint: r.export.Checkpoint != nil}
	start, problem := e.start(r)
	var d decision
	if problem != nil {
		d = decision{finish: failedWith(domain.OutcomeFailed, problem)}
	} else {
		called := time.Now()
		result, err := r.port.Export(ctx, start, s)
		r.atTarget = time.Since(called) - s.waited
		if result == nil && err == nil {
			err = &connector.ContractError{Type: r.export.ConnectorType, Reason: "no result"}
		}
		d = e.rules.decide(r.export, r.target.caps, ending{
			result: result, err: err, checkpoint: s.checkpoint, stored: s.unrecorded,
			stopping: errors.Is(context.Cause(r.host.ctx), errStopping), storage: s.storage,
		})
	}
	if s.fenced || r.host.deposed() {
		e.superseded(r)
		return d
	}
	e.record(r, d, started)
	return d
}

// start is the message that hands the export over, or why it can't be made.
func (e *Engine) start(r *run) (*connectorv1.ExportStart, *domain.ExportError) {
	if !r.target.writes(r.export.FormatVersion) {
		return nil, exportError(port.Unimplemented, "the connector does not write the format "+r.export.FormatVersion, false)
	}
	order, err := e.o.DecodeOrder(r.order)
	if err != nil {
		return nil, exportError(port.Internal, "the stored order can't be read: "+err.Error(), false)
	}
	start := &connectorv1.ExportStart{
		ExportId:            r.export.ID.String(),
		Attempt:             uint32(r.export.AttemptCount),
		CreatedAt:           timestamppb.New(r.export.CreatedAt),
		ExportFormatVersion: r.export.FormatVersion,
		Connection: &connectorv1.Connection{
			Id: r.export.ConnectionID.String(), OrgSlug: r.export.OrgSlug, Config: r.target.config,
		},
		DraftOrder: order,
	}
	if r.export.AttemptCount > 1 {
		start.Resume = resume(r.export)
	}
	return start, nil
}

func resume(e domain.Export) *connectorv1.Resume {
	memory := &connectorv1.Resume{Checkpoint: e.Checkpoint}
	if e.StorageKey != "" {
		memory.Payload = &connectorv1.PayloadStored{
			StorageKey: e.StorageKey, Size: uint64(e.PayloadSize), Sha256: e.PayloadSHA256,
		}
	}
	return memory
}

// record commits how an attempt ended. It tries for as long as the database is
// away, and until the engine gives up: nobody knows better than this host, and
// once somebody else has decided the fence says so. Meanwhile the export counts
// as held, or it would be taken for one whose attempt never began.
func (e *Engine) record(r *run, d decision, started time.Time) {
	finish := d.finish
	finish.ExportID, finish.HostID, finish.Attempt = r.export.ID, r.host.id, r.export.AttemptCount
	err := e.finishes.Do(e.recording, finish)
	var code port.Code
	if finish.Error != nil {
		code = finish.Error.Code
	}
	switch {
	case errors.Is(err, store.ErrFenced):
		e.superseded(r)
		return
	case err != nil:
		e.log.Error("result not recorded; the export will be taken over",
			"export", r.export.ID, "attempt", r.export.AttemptCount, "outcome", finish.Outcome, "error", err)
		return
	}
	e.o.Observer.AttemptEnded(r.export.ConnectorType, finish.Outcome, code, time.Since(started))
	if finish.Outcome != domain.OutcomeDelivered {
		e.log.Info("attempt did not deliver", "export", r.export.ID, "attempt", r.export.AttemptCount,
			"outcome", finish.Outcome, "status", finish.Status, "code", code, "reason", finish.Error.Message)
	}
}

func (e *Engine) superseded(r *run) {
	e.o.Observer.Superseded(r.export.ConnectorType)
	e.log.Warn("attempt was taken over; its result is ignored",
		"export", r.export.ID, "attempt", r.export.AttemptCount, "host", r.host.id)
}
