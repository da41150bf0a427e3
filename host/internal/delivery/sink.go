package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
)

// maxPayload bounds one payload.
const maxPayload = port.MaxMessage

// sink stores what one attempt asks for. The Port calls it one call at a time,
// and not after Export has returned.
type sink struct {
	e   *Engine
	run *run

	unrecorded *payload.Object // the last payload, durable, which the export's row does not have yet
	checkpoint bool            // a checkpoint was confirmed, or may have been saved
	fenced     bool            // the export has been taken over
	storage    bool            // storing did not work
	waited     time.Duration   // for the payload store and the database
}

// StorePayload stores the bytes durably. The export's row learns of them with
// the next checkpoint or the result, so that no commit is spent on it: until
// then nothing at the target depends on them.
func (s *sink) StorePayload(ctx context.Context, fileName string, data []byte) (*connectorv1.PayloadStored, error) {
	if !connector.IsPayloadName(fileName) {
		return nil, refusal(connectorv1.RefusalReason_REFUSAL_REASON_INVALID, "the payload's file name is not allowed")
	}
	if len(data) > maxPayload {
		return nil, refusal(connectorv1.RefusalReason_REFUSAL_REASON_TOO_LARGE, "the payload is larger than the host keeps")
	}
	key := fmt.Sprintf("exports/%s/%s", s.run.export.OrgID, fileName)
	asked := time.Now()
	object, err := s.e.o.Payloads.Put(ctx, key, data)
	s.waited += time.Since(asked)
	if err != nil {
		s.storage = true
		s.e.log.WarnContext(ctx, "payload not stored", "export", s.run.export.ID, "error", err)
		return nil, refusal(connectorv1.RefusalReason_REFUSAL_REASON_STORAGE, "the host could not store the payload")
	}
	s.unrecorded = &object
	return &connectorv1.PayloadStored{
		StorageKey: object.Key, Size: uint64(object.Size), Sha256: object.SHA256[:],
	}, nil
}

// SaveCheckpoint returns when the checkpoint, and the payload stored before it,
// are committed.
func (s *sink) SaveCheckpoint(ctx context.Context, data []byte, externalRef string) error {
	save := store.Save{
		ExportID: s.run.export.ID, HostID: s.run.host.id, Attempt: s.run.export.AttemptCount,
		Checkpoint: data, ExternalRef: clean(externalRef),
	}
	if data == nil {
		save.Checkpoint = []byte{} // nil would leave the last one
	}
	if p := s.unrecorded; p != nil {
		save.StorageKey, save.PayloadSize, save.PayloadSHA256 = p.Key, p.Size, p.SHA256[:]
	}
	asked := time.Now()
	err := s.e.saves.Do(ctx, save)
	s.waited += time.Since(asked)
	switch {
	case err == nil:
		s.checkpoint, s.unrecorded = true, nil
		return nil
	case errors.Is(err, store.ErrFenced) && s.mayBeSaved(ctx, save.Checkpoint):
		s.fenced = true
		return refusal(connectorv1.RefusalReason_REFUSAL_REASON_STORAGE, "the host can't say whether the checkpoint is saved")
	case errors.Is(err, store.ErrFenced):
		s.fenced = true
		return refusal(connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED, "another attempt has taken the export over")
	default:
		// Its reply may have been lost, so it counts as saved where that is
		// the careful assumption.
		s.checkpoint, s.storage = true, true
		s.e.log.WarnContext(ctx, "checkpoint not saved", "export", s.run.export.ID, "error", err)
		return refusal(connectorv1.RefusalReason_REFUSAL_REASON_STORAGE, "the host could not save the checkpoint")
	}
}

// mayBeSaved says that a checkpoint which was refused may be what the attempt
// that took over goes by: an earlier try was committed and its answer lost.
// Told that it was not saved, the connector would take away what it names.
func (s *sink) mayBeSaved(ctx context.Context, checkpoint []byte) bool {
	row, err := s.e.o.Store.Export(ctx, s.run.export.OrgID, s.run.export.ID)
	return err != nil || bytes.Equal(row.Checkpoint, checkpoint)
}

// Progress logs what the connector says.
func (s *sink) Progress(message string) {
	s.e.log.Debug("progress", "export", s.run.export.ID, "message", clean(message))
}

func refusal(reason connectorv1.RefusalReason, message string) error {
	return &connector.RefusedError{Reason: reason, Message: message}
}
