package delivery_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// overtaken is a store whose first SaveAll fails, after the export has been
// taken over; applied says whether the checkpoint was saved before that.
type overtaken struct {
	store.Store
	once    sync.Once
	applied bool
}

func (o *overtaken) SaveAll(ctx context.Context, saves []store.Save) (errs []error, err error) {
	o.once.Do(func() {
		if o.applied {
			_, err = o.Store.SaveAll(ctx, saves)
		}
		s := saves[0]
		_, reclaimed := o.Store.Reclaim(ctx, []store.Finish{{
			ExportID: s.ExportID, HostID: s.HostID, Attempt: s.Attempt, Outcome: domain.OutcomeLost, Status: domain.Pending,
		}})
		err = errors.Join(err, reclaimed, errAway)
	})
	if err != nil {
		return nil, err
	}
	return o.Store.SaveAll(ctx, saves)
}

func TestAConnectorIsOnlyToldThatItsCheckpointIsVoidIfItIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		applied bool
		want    connectorv1.RefusalReason
	}{
		"failed, not applied: superseded":                 {false, connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED},
		"failed, but applied: it may go by what it saved": {true, connectorv1.RefusalReason_REFUSAL_REASON_STORAGE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				p, told := newERP(), make(chan error, 1)
				p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
					if start.GetAttempt() == 1 {
						told <- sink.SaveCheckpoint(ctx, []byte("staged"), "")
						return nil, errAway
					}
					return &connectorv1.ExportResult{Success: true, ExportId: start.GetExportId()}, nil
				}
				exports := w.accept(w.connection(), 1)
				o := w.options(registry{erpType: p})
				o.Store = &overtaken{Store: w.store, applied: tc.applied}
				w.run(o)
				var refused *connector.RefusedError
				if err := <-told; !errors.As(err, &refused) || refused.Reason != tc.want {
					t.Errorf("told %v, want a refusal with %s", err, tc.want)
				}
				w.await(domain.Sent, exports...)
			})
		})
	}
}
